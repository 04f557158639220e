//! The results of `membench`, as stored in `tests/membench.json`, and the tables in README.md and
//! BENCHMARKS.md that are made from them.

pub mod plot;

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// The route of the main table: 500 KB of JSON for each request, held while it waits.
pub const HELD: &str = "500 KB, held";

/// The rows of the summary in README.md.
const SUMMARY: [&str; 7] = [
    "lean",
    "balanced",
    "aggressive",
    "jemalloc",
    "system",
    "loco new",
    "as generated",
];

/// One run of the benchmark.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Results {
    pub date: String,
    pub command: String,
    pub machine: String,
    pub load: Load,
    /// One service at a time, with the whole list of posts held while the request waits.
    pub memory: Vec<Memory>,
    /// The same with a payload that peaks at about 3 GB.
    pub large: Vec<Memory>,
    /// Requests per second of the load at a fixed rate.
    pub rate: u32,
    /// One service at a time, at that rate.
    pub fixed_rate: Vec<FixedRate>,
    /// Pairs of services at the same time, each under its own load.
    pub cpu: Vec<Cpu>,
    /// The same for what each switch adds, as a ratio to the service without it.
    pub switches: Vec<Cpu>,
    /// The same for traces, which `--traces` measures alone.
    #[serde(default)]
    pub traces: Vec<Cpu>,
}

/// How `wrk` was called.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Load {
    pub threads: u32,
    pub connections: u32,
    pub seconds: u32,
    pub rounds: u32,
}

/// The median, minimum and maximum of all rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

/// Megabytes are 10⁶ bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Memory {
    pub name: String,
    pub idle_mb: Spread,
    pub peak_mb: Spread,
    pub after: Vec<After>,
    pub requests_per_second: Spread,
    pub p50_ms: Spread,
    pub p99_ms: Spread,
    pub cpu_us_per_request: Spread,
    /// Responses other than 2xx and broken connections, over all rounds.
    pub failed: u64,
    /// Resident set size over time in one round: seconds since the load ended, megabytes.
    pub series: Vec<(f64, f64)>,
}

/// Memory at some time after the load has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct After {
    pub seconds: f64,
    pub rss_mb: Spread,
    /// Resident set size without what the kernel may reclaim at any time (`LazyFree`).
    pub without_lazy_free_mb: Spread,
}

/// Results at a fixed request rate. Latency counts from when a request was due.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FixedRate {
    pub name: String,
    pub p50_ms: Spread,
    pub p99_ms: Spread,
    pub peak_mb: Spread,
    pub failed: u64,
}

/// CPU time per request, as a ratio to that of another service during the same seconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cpu {
    pub name: String,
    pub route: String,
    pub ratio: Spread,
    pub failed: u64,
}

/// The order of a round's services: each round starts with another, so that it makes no difference.
pub fn rotated(count: usize, round: u32) -> impl Iterator<Item = usize> {
    (0..count).map(move |index| (index + round as usize) % count)
}

impl Spread {
    /// # Panics
    ///
    /// If there are no values.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Self {
            median,
            min: values[0],
            max: values[values.len() - 1],
        }
    }

    fn text(&self, decimals: usize) -> String {
        format!("{:.decimals$}", self.median)
    }

    /// `39 (38–41)`, or `39` if all are equal.
    #[must_use]
    pub fn with_range(&self, decimals: usize) -> String {
        let [median, min, max] =
            [self.median, self.min, self.max].map(|value| format!("{value:.decimals$}"));
        if min == max {
            median
        } else {
            format!("{median} ({min}–{max})")
        }
    }
}

impl Memory {
    /// Memory this many seconds after the load.
    #[must_use]
    pub fn after(&self, seconds: f64) -> Option<&After> {
        self.after
            .iter()
            .find(|after| (after.seconds - seconds).abs() < 1e-9)
    }

    /// The percentage of the memory taken by the load that is still held this many seconds after
    /// it.
    #[must_use]
    pub fn held_percent(&self, seconds: f64) -> Option<f64> {
        let after = self.after(seconds)?.rss_mb.median;
        let idle = self.idle_mb.median;
        Some(100.0 * (after - idle) / (self.peak_mb.median - idle))
    }
}

impl Results {
    /// When, where and how it was measured.
    #[must_use]
    pub fn origin(&self) -> String {
        format!(
            "Measured on {} ({}), `wrk -t{} -c{} -d{}s`; `{}`. Medians of {} rounds, in parentheses \
             from the lowest to the highest: the true median is between them with a probability of \
             {:.0} %.",
            self.date,
            self.machine,
            self.load.threads,
            self.load.connections,
            self.load.seconds,
            self.command,
            self.load.rounds,
            // All rounds are on the same side of it with a probability of 1 / 2^rounds for each
            // side.
            100.0 * (1.0 - 2.0 * 0.5_f64.powf(f64::from(self.load.rounds)))
        )
    }

    /// The tables of all results.
    #[must_use]
    pub fn tables(&self) -> Vec<String> {
        vec![
            self.table(),
            self.rate_table(),
            self.large_table(),
            ratio_table(&self.cpu),
            ratio_table(&self.switches),
            ratio_table(&self.traces),
        ]
    }

    /// The table in README.md.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut table = String::from(
            "| | idle | peak | after 1 s | 30 s | CPU per request |\n|---|---|---|---|---|---|\n",
        );
        for name in SUMMARY {
            let Some(row) = self.memory.iter().find(|row| row.name == name) else {
                continue;
            };
            let after = |seconds| {
                row.after(seconds)
                    .map_or_else(String::new, |after| after.rss_mb.text(0))
            };
            writeln!(
                table,
                "| {name} | {} | {} | {} | {} | {} |",
                row.idle_mb.text(0),
                row.peak_mb.text(0),
                after(1.0),
                after(30.0),
                ratio(&self.cpu, name, HELD),
            )
            .expect("infallible");
        }
        table
    }

    /// The main table: memory, speed and CPU time of every row.
    fn table(&self) -> String {
        let mut table = String::from(
            "| | idle | peak | after 0.5 s | 1 s | 5 s | 30 s | requests/s | p50, p99 | CPU per \
             request |\n|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.memory {
            let after = |seconds| {
                row.after(seconds)
                    .map_or_else(String::new, |after| after.rss_mb.with_range(0))
            };
            let failed = failures(row.failed);
            writeln!(
                table,
                "| {} | {} | {} | {} | {} | {} | {} | {}{failed} | {:.1} s, {:.1} s | {} |",
                row.name,
                row.idle_mb.text(0),
                row.peak_mb.with_range(0),
                after(0.5),
                after(1.0),
                after(5.0),
                after(30.0),
                row.requests_per_second.with_range(0),
                row.p50_ms.median / 1000.0,
                row.p99_ms.median / 1000.0,
                ratio(&self.cpu, &row.name, HELD),
            )
            .expect("infallible");
        }
        table
    }

    /// The table at about 3 GB.
    fn large_table(&self) -> String {
        let mut table = String::from(
            "| | idle | peak | after 1 s | still held after 1 s | requests/s | p50, p99 \
             |\n|---|---|---|---|---|---|---|\n",
        );
        for row in &self.large {
            writeln!(
                table,
                "| {} | {} | {} | {} | {:.1} % | {} | {:.1} s, {:.1} s |",
                row.name,
                row.idle_mb.text(0),
                row.peak_mb.with_range(0),
                row.after(1.0)
                    .map_or_else(String::new, |after| after.rss_mb.with_range(0)),
                row.held_percent(1.0).unwrap_or(f64::NAN),
                row.requests_per_second.with_range(0),
                row.p50_ms.median / 1000.0,
                row.p99_ms.median / 1000.0,
            )
            .expect("infallible");
        }
        table
    }

    /// The table at a fixed request rate.
    fn rate_table(&self) -> String {
        let mut table = format!(
            "| {} requests/s | p50 (ms) | p99 (ms) | peak |\n|---|---|---|---|\n",
            self.rate
        );
        for row in &self.fixed_rate {
            let failed = failures(row.failed);
            writeln!(
                table,
                "| {} | {}{failed} | {} | {} |",
                row.name,
                row.p50_ms.with_range(1),
                row.p99_ms.with_range(1),
                row.peak_mb.with_range(0),
            )
            .expect("infallible");
        }
        table
    }
}

/// The number of failed requests for a table cell, empty if there are none.
fn failures(failed: u64) -> String {
    match failed {
        0 => String::new(),
        failed => format!(" ({failed} failed)"),
    }
}

/// CPU time per request on every route, as ratios.
fn ratio_table(ratios: &[Cpu]) -> String {
    let mut routes: Vec<&str> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for cpu in ratios {
        if !routes.contains(&cpu.route.as_str()) {
            routes.push(&cpu.route);
        }
        if !names.contains(&cpu.name.as_str()) {
            names.push(&cpu.name);
        }
    }
    let mut table = format!(
        "| | {} |\n|---{}|\n",
        routes.join(" | "),
        "|---".repeat(routes.len())
    );
    for name in names {
        let row: Vec<String> = routes
            .iter()
            .map(|route| ratio(ratios, name, route))
            .collect();
        writeln!(table, "| {name} | {} |", row.join(" | ")).expect("infallible");
    }
    table
}

fn ratio(ratios: &[Cpu], name: &str, route: &str) -> String {
    ratios
        .iter()
        .find(|cpu| cpu.name == name && cpu.route == route)
        .map_or_else(String::new, |cpu| cpu.ratio.with_range(2))
}
