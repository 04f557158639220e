//! The siege: a service in a memory cgroup is attacked, while honest clients ask beside it. Who is
//! alive in the end, and what did the honest get? Then it is asked to end, in the middle of the
//! attack.

pub mod attacks;
pub mod cgroup;
pub mod client;
pub mod plot;
pub mod results;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::{runtime::Runtime, task::JoinSet, time::sleep};

use self::client::{get, post, repeat, until_sent_away, Served};
pub use self::{
    attacks::Attack,
    cgroup::Cgroup,
    results::{Outcome, Siege},
};
use crate::{
    loaded::{self, binary},
    Running,
};

/// How many honest clients ask, and how long each pauses between two requests.
const HONEST: usize = 8;
const PAUSE: Duration = Duration::from_millis(20);
/// How long the attack goes on when the service is asked to end: for longer than it has for that, a
/// drain of 2 s, 20 s for the last requests, and 2 s more.
const END: Duration = Duration::from_secs(26);

/// The name of what this template makes, in tables and pictures.
pub const OURS: &str = "this template";

/// A service that is attacked.
#[derive(Debug, Clone)]
pub struct Service {
    pub name: String,
    directory: PathBuf,
    env: Vec<(&'static str, &'static str)>,
}

impl Service {
    /// What `loco new` makes: a release build below `work`, or that of an earlier run.
    ///
    /// # Errors
    ///
    /// When it cannot be generated or built.
    pub fn stock(work: &Path, built: bool) -> Result<Self> {
        let directory = work.join("loco-new");
        loaded::stock(&directory, false, built)?;
        Ok(Self {
            name: "loco new".to_string(),
            directory,
            env: Vec::new(),
        })
    }

    /// What this template makes: a release build below `work`, or that of an earlier run.
    ///
    /// # Errors
    ///
    /// When it cannot be generated or built.
    pub fn generated(work: &Path, built: bool) -> Result<Self> {
        let directory = work.join("lean");
        loaded::generated(&directory, &[], &[], built)?;
        // It compresses, and drains before it ends, as in production.
        loaded::configure(&directory, "siege", |config| {
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
            env: vec![("LOCO_CONFIG_FOLDER", "config-siege")],
        })
    }

    fn start(&self, cgroup: &Cgroup, listener: SocketAddr) -> Result<Running> {
        let listener = listener.to_string();
        let mut env = vec![
            ("BINDING", "127.0.0.1"),
            ("LOG_LEVEL", "warn"),
            ("DATABASE_URL", "sqlite://siege.sqlite?mode=rwc"),
            ("MEMORY_ADMIN_BIND", listener.as_str()),
        ];
        env.extend(&self.env);
        let binary = binary(&self.directory);
        Running::start_in(&cgroup.processes(), &binary, &self.directory, &env)
    }
}

/// Attacks a service in a cgroup with this limit in bytes for so long, then lets it end.
///
/// # Errors
///
/// When the service does not start, or no cgroup can be made.
pub fn attack(service: &Service, attack: Attack, limit: u64, time: Duration) -> Result<Outcome> {
    let cgroup = Cgroup::new("siege", limit)?;
    let listener = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut running = service.start(&cgroup, listener)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, running.port()));
    let start = Instant::now();
    let until = start + time;
    // The honest are not to wait for the attackers' own work.
    let attackers = Runtime::new()?;
    let honest = Runtime::new()?;
    let attackers_got = attackers.spawn(attack.run(address, until));
    let (served, killed_after, sockets_mib) = honest.block_on(async {
        let mut clients = JoinSet::new();
        for number in 0..HONEST {
            let (to, requests) = match attack {
                // Half of them are the people on call.
                Attack::LoginFlood if number % 2 == 1 && TcpStream::connect(listener).is_ok() => {
                    (listener, vec![get("/metrics")])
                }
                Attack::LoginFlood => (address, vec![get("/_health"), get("/_readiness")]),
                _ => (address, honest_requests()),
            };
            clients.spawn(repeat(Ipv4Addr::LOCALHOST, to, requests, PAUSE, until));
        }
        let mut served = Served::default();
        let mut killed_after = None;
        let mut sockets: f64 = 0.0;
        loop {
            tokio::select! {
                client = clients.join_next() => match client {
                    Some(client) => served.merge(client.unwrap_or_default()),
                    None => break,
                },
                () = sleep(Duration::from_millis(100)) => {
                    sockets = sockets.max(cgroup::sockets_mib());
                    if killed_after.is_none() && running.has_ended() {
                        killed_after = Some(start.elapsed());
                        // There is nobody left to ask.
                        clients.abort_all();
                    }
                }
            }
        }
        (served, killed_after, sockets)
    });
    let load = match killed_after {
        Some(_) => Served::default(),
        None => attackers.block_on(attackers_got)?,
    };
    let peak = cgroup.peak()?;
    let (ended_after, lost) = match killed_after {
        Some(_) => (None, 0),
        None => {
            attackers.spawn(attack.run(address, Instant::now() + END));
            honest.block_on(end(&mut running, address))?
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
        answered: served.times_ms.len(),
        refused: served.refused,
        failed: served.failed,
        p50_ms: served.within(0.5),
        p99_ms: served.within(0.99),
        worst_ms: served.within(1.0),
        #[allow(clippy::cast_precision_loss)]
        load_per_second: load.times_ms.len() as f64 / seconds(time),
        ended_after_s: ended_after.map(seconds),
        lost,
        last_failure: served.last_failure,
    };
    drop(running);
    Ok(outcome)
}

/// Asks the service to end, in the middle of the attack. How long that took, where it ended by itself,
/// and how many honest requests were lost.
async fn end(running: &mut Running, address: SocketAddr) -> Result<(Option<Duration>, u64)> {
    let mut clients = JoinSet::new();
    for _ in 0..HONEST {
        clients.spawn(until_sent_away(address, honest_requests(), PAUSE, END));
    }
    sleep(Duration::from_secs(1)).await;
    running.signal("TERM")?;
    let start = Instant::now();
    while !running.has_ended() && start.elapsed() < END {
        sleep(Duration::from_millis(50)).await;
    }
    let ended_after = running.has_ended().then(|| start.elapsed());
    // Each ends once nobody listens; whoever waits for a service that goes on is not waited for.
    if ended_after.is_none() {
        clients.abort_all();
    }
    let mut lost = 0;
    while let Some(client) = clients.join_next().await {
        lost += client.unwrap_or(0);
    }
    Ok((ended_after, lost))
}

/// What an honest client asks for, in turn.
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
