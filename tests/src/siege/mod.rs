//! The siege: a service in a memory cgroup is attacked while honest clients use it. Does it
//! survive, and does it respond to the honest clients? Then it has to shut down in the middle of
//! the attack.

pub mod attacks;
pub mod cgroup;
pub mod client;
pub mod collectors;
pub mod plot;
pub mod results;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::{runtime::Runtime, task::JoinSet, time::sleep};

use self::client::{get, post, repeat, repeat_until_closed, Stats};
pub use self::{
    attacks::Attack,
    cgroup::Cgroup,
    results::{Outcome, Siege},
};
use crate::{
    load_target::{self, binary},
    Running,
};

/// How many honest clients there are, and how long each pauses between two requests.
const HONEST_CLIENTS: usize = 8;
const PAUSE: Duration = Duration::from_millis(20);
/// How long the attack goes on during the shutdown: longer than the service has for it, which is a
/// drain of 2 s, 20 s for the last requests, and 2 s more.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(26);

/// The name of this template's service, in tables and charts.
pub const OURS: &str = "this template";

/// A service to attack.
#[derive(Debug, Clone)]
pub struct Service {
    pub name: String,
    directory: PathBuf,
    env: Vec<(&'static str, String)>,
}

impl Service {
    /// What `loco new` generates: a release build below `work`, or with `reuse` that of an earlier
    /// run.
    ///
    /// # Errors
    ///
    /// If it cannot be generated or built.
    pub fn stock(work: &Path, reuse: bool) -> Result<Self> {
        let directory = work.join("loco-new");
        load_target::build_stock(&directory, false, reuse)?;
        Ok(Self {
            name: "loco new".to_string(),
            directory,
            env: Vec::new(),
        })
    }

    /// What this template generates: a release build below `work`, or with `reuse` that of an
    /// earlier run.
    ///
    /// # Errors
    ///
    /// If it cannot be generated or built.
    pub fn generated(work: &Path, reuse: bool) -> Result<Self> {
        Self::with_answers(work, "lean", &[], reuse)
    }

    /// The same with traces, which are sent nowhere yet. It logs as in production: without Loco's
    /// own spans of requests, those of traces would seem to cost more.
    ///
    /// # Errors
    ///
    /// If it cannot be generated or built.
    pub fn traced(work: &Path, reuse: bool) -> Result<Self> {
        let answers = [("traces", "true")];
        let mut service = Self::with_answers(work, "lean-traces", &answers, reuse)?;
        service.env.push(("LOG_LEVEL", "info".to_string()));
        Ok(service)
    }

    fn with_answers(
        work: &Path,
        name: &str,
        answers: &[(&str, &str)],
        reuse: bool,
    ) -> Result<Self> {
        let directory = work.join(name);
        load_target::build_generated(&directory, answers, reuse)?;
        // With compression and draining, as in production.
        load_target::write_config(&directory, "siege", |config| {
            config
                .replace(
                    "  middlewares:\n",
                    "  middlewares:\n    compression: { enable: true }\n",
                )
                .replace("settings:\n", "settings:\n  shutdown: { drain: 2 }\n")
        })?;
        Ok(Self {
            name: OURS.to_string(),
            directory,
            env: vec![("LOCO_CONFIG_FOLDER", "config-siege".to_string())],
        })
    }

    /// The same, sending its traces to this endpoint.
    fn tracing_to(&self, endpoint: &str) -> Self {
        let mut service = self.clone();
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.to_string());
        service.env.push(endpoint);
        service
    }

    fn start(&self, cgroup: &Cgroup, listener: SocketAddr) -> Result<Running> {
        let listener = listener.to_string();
        let mut env = vec![
            ("BINDING", "127.0.0.1"),
            ("LOG_LEVEL", "warn"),
            ("DATABASE_URL", "sqlite://siege.sqlite?mode=rwc"),
            ("MEMORY_ADMIN_BIND", listener.as_str()),
        ];
        env.extend(self.env.iter().map(|(name, value)| (*name, value.as_str())));
        let binary = binary(&self.directory);
        Running::start_in_cgroup(&cgroup.procs_file(), &binary, &self.directory, &env)
    }
}

/// Attacks a service in a cgroup with this limit in bytes, then shuts it down.
///
/// # Errors
///
/// If the service does not start, or the cgroup cannot be created.
pub fn attack(service: &Service, attack: Attack, limit: u64, time: Duration) -> Result<Outcome> {
    let cgroup = Cgroup::new("siege", limit)?;
    let listener = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut running = service.start(&cgroup, listener)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, running.port()));
    let start = Instant::now();
    let until = start + time;
    // Separate runtimes: honest clients should not wait for the work of the attackers.
    let attackers = Runtime::new()?;
    let honest = Runtime::new()?;
    let attack_task = attackers.spawn(attack.run(address, until));
    let metrics = TcpStream::connect(listener).is_ok().then(|| {
        let requests = vec![get("/metrics")];
        honest.spawn(repeat(
            Ipv4Addr::LOCALHOST,
            listener,
            requests,
            PAUSE,
            until,
        ))
    });
    let (stats, killed_after, sockets_mib) = honest.block_on(async {
        let mut clients = JoinSet::new();
        for number in 0..HONEST_CLIENTS {
            let (to, requests) = match attack {
                // Half of the honest clients read the metrics.
                Attack::LoginFlood if number % 2 == 1 && TcpStream::connect(listener).is_ok() => {
                    (listener, vec![get("/metrics")])
                }
                Attack::LoginFlood => (address, vec![get("/_health"), get("/_readiness")]),
                _ => (address, honest_requests()),
            };
            clients.spawn(repeat(Ipv4Addr::LOCALHOST, to, requests, PAUSE, until));
        }
        let mut stats = Stats::default();
        let mut killed_after = None;
        let mut sockets: f64 = 0.0;
        loop {
            tokio::select! {
                client = clients.join_next() => match client {
                    Some(client) => stats.merge(client.unwrap_or_default()),
                    None => break,
                },
                () = sleep(Duration::from_millis(100)) => {
                    sockets = sockets.max(cgroup::sockets_mib());
                    if killed_after.is_none() && running.has_exited() {
                        killed_after = Some(start.elapsed());
                        // There is nothing left to send requests to.
                        clients.abort_all();
                    }
                }
            }
        }
        (stats, killed_after, sockets)
    });
    let load = match killed_after {
        Some(_) => Stats::default(),
        None => attackers.block_on(attack_task)?,
    };
    let metrics = match metrics {
        Some(task) if killed_after.is_none() => honest.block_on(task)?,
        _ => Stats::default(),
    };
    let peak = cgroup.peak()?;
    let (ended_after, lost) = match killed_after {
        Some(_) => (None, 0),
        None => {
            attackers.spawn(attack.run(address, Instant::now() + SHUTDOWN_LIMIT));
            honest.block_on(shut_down(&mut running, address))?
        }
    };
    attackers.shutdown_background();
    honest.shutdown_background();
    let seconds = |time: Duration| time.as_secs_f64();
    let outcome = Outcome {
        service: service.name.clone(),
        attack: attack.name().to_string(),
        killed_after_s: killed_after.map(seconds),
        kills: cgroup.kills()?,
        peak_mib: mebibytes(peak),
        sockets_mib,
        answered: stats.times_ms.len(),
        refused: stats.refused,
        failed: stats.failed,
        p50_ms: stats.quantile_ms(0.5),
        p99_ms: stats.quantile_ms(0.99),
        worst_ms: stats.quantile_ms(1.0),
        metrics_p99_ms: metrics.quantile_ms(0.99),
        #[allow(clippy::cast_precision_loss)]
        load_per_second: load.times_ms.len() as f64 / seconds(time),
        ended_after_s: ended_after.map(seconds),
        lost,
        last_failure: stats.last_failure,
    };
    drop(running);
    Ok(outcome)
}

/// Shuts the service down in the middle of the attack. Returns how long it took to exit, if it did,
/// and how many honest requests were lost.
async fn shut_down(running: &mut Running, address: SocketAddr) -> Result<(Option<Duration>, u64)> {
    let mut clients = JoinSet::new();
    for _ in 0..HONEST_CLIENTS {
        clients.spawn(repeat_until_closed(
            address,
            honest_requests(),
            PAUSE,
            SHUTDOWN_LIMIT,
        ));
    }
    sleep(Duration::from_secs(1)).await;
    running.signal("TERM")?;
    let start = Instant::now();
    while !running.has_exited() && start.elapsed() < SHUTDOWN_LIMIT {
        sleep(Duration::from_millis(50)).await;
    }
    let ended_after = running.has_exited().then(|| start.elapsed());
    // Clients stop once nothing listens; do not wait for them if the service keeps running.
    if ended_after.is_none() {
        clients.abort_all();
    }
    let mut lost = 0;
    while let Some(client) = clients.join_next().await {
        lost += client.unwrap_or(0);
    }
    Ok((ended_after, lost))
}

/// The requests that an honest client sends in turn.
fn honest_requests() -> Vec<Vec<u8>> {
    let mut requests = vec![get("/load/small"); 8];
    requests.push(post(
        "/load/json",
        &format!("{{\"text\":\"{}\"}}", "x".repeat(2000)),
    ));
    requests.push(get("/load/posts?posts=100"));
    requests.push(post("/load/take", &"x".repeat(300_000)));
    requests
}

#[allow(clippy::cast_precision_loss)]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
