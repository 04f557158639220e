//! What a service with traces achieves under load, by how the collector behaves.

use std::{fmt::Write, path::Path, time::Duration};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{attack, results::services, Attack, Outcome, Service};
use crate::{
    benchmark::{rotated, Spread},
    collector::{Collector, Manner},
};

/// The loads whose throughput is measured.
pub const LOADS: [Attack; 3] = [Attack::Burst, Attack::FromDatabase, Attack::FewBytes];
/// The one that the others are compared with.
const WORKS: &str = "works";

/// The outcomes of all rounds, with the collector's behavior as the name of the service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Collectors {
    pub date: String,
    pub machine: String,
    pub limit_mib: u64,
    pub seconds: u64,
    pub rounds: Vec<Vec<Outcome>>,
}

/// Puts the service under each load, with each collector in turn. Every round starts with another.
///
/// # Errors
///
/// If the service cannot be built or does not start.
pub fn rounds(
    work: &Path,
    reuse: bool,
    limit: u64,
    time: Duration,
    rounds: u32,
) -> Result<Vec<Vec<Outcome>>> {
    let service = Service::traced(work, reuse)?;
    let [works, slow, silent] =
        [Manner::Forgetful, Manner::Slow, Manner::Silent].map(Collector::start);
    let behaviors = [
        ("there is none, so no traces", None),
        ("the same, as a control", None),
        (WORKS, Some(works.endpoint())),
        ("takes 5 s", Some(slow.endpoint())),
        ("never responds", Some(silent.endpoint())),
        ("refuses connections", Some("http://127.0.0.1:9")),
    ];
    let services = behaviors.map(|(name, endpoint)| {
        let service = endpoint.map_or_else(|| service.clone(), |to| service.tracing_to(to));
        Service {
            name: name.to_string(),
            ..service
        }
    });
    (1..=rounds)
        .map(|round| {
            let mut outcomes = Vec::new();
            for load in LOADS {
                for index in rotated(services.len(), round - 1) {
                    let outcome = attack(&services[index], load, limit, time)?;
                    println!("round {round}: {}", serde_json::to_string(&outcome)?);
                    outcomes.push(outcome);
                }
            }
            Ok(outcomes)
        })
        .collect()
}

impl Collectors {
    fn of<'a>(&'a self, name: &'a str, load: Attack) -> impl Iterator<Item = &'a Outcome> {
        let outcomes = self.rounds.iter().flatten();
        outcomes.filter(move |outcome| outcome.service == name && outcome.attack == load.name())
    }

    /// The throughput under a load, as a ratio to that with a working collector in the same
    /// round.
    ///
    /// # Panics
    ///
    /// If it was not measured.
    #[must_use]
    pub fn throughput(&self, name: &str, load: Attack) -> Spread {
        let pairs = self.of(name, load).zip(self.of(WORKS, load));
        Spread::of(pairs.map(|(outcome, other)| outcome.load_per_second / other.load_per_second))
    }

    /// The behaviors of the collector, in the order of the first round.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        services(self.rounds.iter().flatten())
    }

    /// When, where and how it was measured.
    #[must_use]
    pub fn origin(&self) -> String {
        format!(
            "Measured on {} ({}): each load for {} s in a memory cgroup of {} MiB, in {} rounds.",
            self.date,
            self.machine,
            self.seconds,
            self.limit_mib,
            self.rounds.len()
        )
    }

    /// Every collector with the throughput and the peak memory under each load.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = String::from("| the collector |");
        for load in LOADS {
            write!(table, " {} | peak |", load.name()).expect("infallible");
        }
        table.push_str("\n|---|");
        table.push_str(&"---|---|".repeat(LOADS.len()));
        table.push('\n');
        for name in self.names() {
            write!(table, "| {name} |").expect("infallible");
            for load in LOADS {
                let peak = self.of(name, load).map(|outcome| outcome.peak_mib);
                let peak = peak.fold(0.0, f64::max);
                let throughput = if name == WORKS {
                    let rates =
                        Spread::of(self.of(name, load).map(|outcome| outcome.load_per_second));
                    format!("{:.0}/s", rates.median)
                } else {
                    self.throughput(name, load).with_range(2)
                };
                write!(table, " {throughput} | {peak:.0} |").expect("infallible");
            }
            table.push('\n');
        }
        table
    }
}
