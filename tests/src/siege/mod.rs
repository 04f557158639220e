//! The siege: a service in a memory cgroup is attacked, while honest clients ask beside it. Who is
//! alive in the end, and what did the honest get?

pub mod attacks;
pub mod cgroup;
pub mod client;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::{runtime::Runtime, task::JoinSet};

use self::client::{get, post, repeat, Served};
pub use self::{attacks::Attack, cgroup::Cgroup};
use crate::Running;

/// How many honest clients ask, and how long each pauses between two requests.
const HONEST: usize = 8;
const PAUSE: Duration = Duration::from_millis(20);

/// What came of one attack on one service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub service: String,
    pub attack: String,
    pub seconds: f64,
    /// Processes that the kernel killed.
    pub kills: u64,
    pub peak_mib: f64,
    /// What the honest clients got.
    pub answered: usize,
    pub refused: u64,
    pub failed: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub worst_ms: f64,
    /// Good answers a second that the attackers got, where they want any.
    pub load_per_second: f64,
    pub last_failure: Option<String>,
}

/// Attacks a service in a cgroup with this limit in bytes.
///
/// # Errors
///
/// When the service does not start, or no cgroup can be made.
pub fn attack(
    name: &str,
    binary: &Path,
    directory: &Path,
    env: &[(&str, &str)],
    attack: Attack,
    limit: u64,
    time: Duration,
) -> Result<Outcome> {
    let cgroup = Cgroup::new("siege", limit)?;
    let running = Running::start_in(&cgroup.processes(), binary, directory, env)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, running.port()));
    let until = Instant::now() + time;
    // The honest are not to wait for the attackers' own work.
    let attackers = Runtime::new()?;
    let honest = Runtime::new()?;
    let attack_ended = attackers.spawn(attack.run(address, until));
    let honest = honest.block_on(async {
        let mut clients = JoinSet::new();
        for _ in 0..HONEST {
            clients.spawn(repeat(
                Ipv4Addr::LOCALHOST,
                address,
                honest_requests(),
                PAUSE,
                until,
            ));
        }
        let mut served = Served::default();
        for client in clients.join_all().await {
            served.merge(client);
        }
        served
    });
    let load = attackers.block_on(attack_ended)?;
    attackers.shutdown_background();
    let outcome = Outcome {
        service: name.to_string(),
        attack: attack.name().to_string(),
        seconds: time.as_secs_f64(),
        kills: cgroup.kills()?,
        peak_mib: mebibytes(cgroup.peak()?),
        answered: honest.times_ms.len(),
        refused: honest.refused,
        failed: honest.failed,
        p50_ms: honest.within(0.5),
        p99_ms: honest.within(0.99),
        worst_ms: honest.within(1.0),
        #[allow(clippy::cast_precision_loss)]
        load_per_second: load.times_ms.len() as f64 / time.as_secs_f64(),
        last_failure: honest.last_failure,
    };
    drop(running);
    Ok(outcome)
}

/// What an honest client asks for, in turn.
fn honest_requests() -> Vec<Vec<u8>> {
    let mut requests = vec![get("/load/small"); 8];
    requests.push(post(
        "/load/json",
        &format!("{{\"text\":\"{}\"}}", "x".repeat(2000)),
    ));
    requests.push(get("/load/posts?posts=100"));
    requests
}

#[allow(clippy::cast_precision_loss)]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
