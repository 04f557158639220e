//! The results of a siege, as stored in `tests/siege.json`, and the table in README.md that is made
//! from them.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::{collectors::Collectors, Attack};

/// The outcome of one attack on one service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub service: String,
    pub attack: String,
    /// Seconds until the service was killed, or `None` if it survived.
    pub killed_after_s: Option<f64>,
    /// The number of processes that the kernel killed.
    pub kills: u64,
    /// Peak memory of the cgroup, including file pages.
    pub peak_mib: f64,
    /// In the buffers of all TCP sockets on the machine, including those of the attackers. With
    /// cgroups of version 2, those of the service are part of the peak.
    pub sockets_mib: f64,
    /// Requests of honest clients: successful, refused with 503, and failed in any other way.
    pub answered: usize,
    pub refused: u64,
    pub failed: u64,
    /// From the first attempt to the end of a successful response.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub worst_ms: Option<f64>,
    /// Of the memory listener's `/metrics`, if there is one.
    #[serde(default)]
    pub metrics_p99_ms: Option<f64>,
    /// Successful responses per second to the attackers, if they want any.
    pub load_per_second: f64,
    /// Seconds from SIGTERM, in the middle of the attack, to the exit. `None` if it did not exit in
    /// time, or had been killed before.
    pub ended_after_s: Option<f64>,
    /// Honest requests without a response after SIGTERM.
    pub lost: u64,
    pub last_failure: Option<String>,
}

/// A siege of some services.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Siege {
    pub date: String,
    pub machine: String,
    /// The version of the cgroups on the machine. Version 2 counts socket buffers.
    pub cgroup_version: u8,
    pub limit_mib: u64,
    pub seconds: u64,
    pub rounds: u32,
    pub outcomes: Vec<Outcome>,
    /// What `--collectors` measures alone.
    #[serde(default)]
    pub collectors: Option<Collectors>,
}

/// All rounds of one attack on one service.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    rounds: Vec<&'a Outcome>,
}

impl Row<'_> {
    fn sum(&self, of: impl Fn(&Outcome) -> u64) -> u64 {
        self.rounds.iter().map(|round| of(round)).sum()
    }

    fn max(&self, of: impl Fn(&Outcome) -> f64) -> f64 {
        self.rounds
            .iter()
            .map(|round| of(round))
            .fold(0.0, f64::max)
    }

    /// The number of rounds in which the service was killed.
    #[must_use]
    pub fn killed(&self) -> usize {
        let was_killed = |round: &&&Outcome| round.killed_after_s.is_some();
        self.rounds.iter().filter(was_killed).count()
    }

    /// Honest requests without a successful response.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.sum(|round| round.refused + round.failed)
    }

    /// The highest value of all rounds.
    #[must_use]
    pub fn p99_ms(&self) -> f64 {
        self.max(|round| round.p99_ms.unwrap_or(0.0))
    }

    #[must_use]
    pub fn rounds(&self) -> usize {
        self.rounds.len()
    }

    /// The percentage of honest requests that succeeded.
    #[must_use]
    pub fn answered_percent(&self) -> f64 {
        let answered = self.sum(|round| round.answered as u64);
        #[allow(clippy::cast_precision_loss)]
        {
            100.0 * answered as f64 / (answered + self.unanswered()).max(1) as f64
        }
    }

    fn fate(&self) -> String {
        match self.killed() {
            0 => format!("alive, peak {:.0}", self.max(|round| round.peak_mib)),
            killed => {
                let after = self
                    .rounds
                    .iter()
                    .filter_map(|round| round.killed_after_s)
                    .fold(f64::INFINITY, f64::min);
                format!(
                    "**killed** in {killed} of {}, after {after:.0} s",
                    self.rounds()
                )
            }
        }
    }

    fn honest(&self) -> String {
        if self.killed() == self.rounds() {
            return String::new();
        }
        let unanswered = match self.unanswered() {
            0 => "all".to_string(),
            unanswered => format!("all but {unanswered}"),
        };
        format!(
            "{unanswered}, {} ms ({:.0})",
            figure(self.p99_ms()),
            self.max(|round| round.worst_ms.unwrap_or(0.0))
        )
    }

    fn shutdown(&self) -> String {
        if self.killed() == self.rounds() {
            return String::new();
        }
        let has_exited = self
            .rounds
            .iter()
            .all(|round| round.ended_after_s.is_some());
        let lost = match self.sum(|round| round.lost) {
            0 => String::new(),
            lost => format!(", {lost} lost"),
        };
        if has_exited {
            let after = self.max(|round| round.ended_after_s.unwrap_or(0.0));
            format!("{after:.1} s{lost}")
        } else {
            format!("not in 26 s{lost}")
        }
    }
}

/// The names of the services, in the order in which they were attacked.
pub(super) fn services<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Vec<&'a str> {
    let mut services: Vec<&str> = Vec::new();
    for outcome in outcomes {
        if !services.contains(&outcome.service.as_str()) {
            services.push(&outcome.service);
        }
    }
    services
}

/// Milliseconds, with one decimal below 10.
fn figure(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.1}")
    } else {
        format!("{ms:.0}")
    }
}

impl Siege {
    /// All rounds of an attack on a service.
    #[must_use]
    pub fn row(&self, service: &str, attack: Attack) -> Row<'_> {
        let rounds = self
            .outcomes
            .iter()
            .filter(|outcome| outcome.service == service && outcome.attack == attack.name());
        Row {
            rounds: rounds.collect(),
        }
    }

    /// The services, in the order in which they were attacked.
    #[must_use]
    pub fn services(&self) -> Vec<&str> {
        services(&self.outcomes)
    }

    /// When, where and how it was measured.
    #[must_use]
    pub fn origin(&self) -> String {
        format!(
            "Measured on {} ({}): each attack for {} s in a memory cgroup (version {}) of {} MiB, {}.",
            self.date,
            self.machine,
            self.seconds,
            self.cgroup_version,
            self.limit_mib,
            match (self.rounds, self.services().as_slice()) {
                (1, _) => "in one round".to_string(),
                (rounds, [stock, _]) => format!("in {rounds} rounds, `{stock}` in one"),
                (rounds, _) => format!("in {rounds} rounds"),
            }
        )
    }

    /// Every attack with its outcome.
    #[must_use]
    pub fn table(&self) -> String {
        let services = self.services();
        let mut table = String::from("| attack |");
        for service in &services {
            write!(
                table,
                " {service} | honest clients: answered, p99 (worst) |"
            )
            .expect("infallible");
        }
        table.push_str(" ends after SIGTERM in |\n|---|");
        table.push_str(&"---|---|".repeat(services.len()));
        table.push_str("---|\n");
        for attack in Attack::ALL {
            write!(table, "| {} |", attack.name()).expect("infallible");
            for service in &services {
                let row = self.row(service, attack);
                write!(table, " {} | {} |", row.fate(), row.honest()).expect("infallible");
            }
            let shutdowns: Vec<String> = services
                .iter()
                .map(|service| self.row(service, attack).shutdown())
                .collect();
            writeln!(table, " {} |", shutdowns.last().map_or("", String::as_str))
                .expect("infallible");
        }
        table
    }
}
