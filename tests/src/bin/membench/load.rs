//! Generates the load with `wrk`, and parses its report.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{bail, Context, Result};

/// wrk's own report is rounded; this one is not. Times are in microseconds.
const REPORT: &str = r#"
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("\nmembench %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"#;

/// A column of the tables: a route of `fixtures/load.rs`, and how requests are sent to it.
pub struct Route {
    pub name: &'static str,
    pub path: &'static str,
    pub load: LoadKind,
}

/// How requests are sent.
#[derive(Debug, Clone, Copy)]
pub enum LoadKind {
    /// Each client sends its next request once it has a response: as fast as the service responds.
    Closed,
    /// The same, in bursts with pauses between them.
    Bursts,
    /// A fixed number of requests per second, however fast the service responds.
    Open { rate: u32 },
}

pub struct Wrk {
    script: PathBuf,
    pub threads: u32,
    pub connections: u32,
}

/// The result of one run of a load.
#[derive(Debug, Clone, Copy)]
pub struct LoadResult {
    pub requests: f64,
    pub seconds: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub failed: u64,
}

impl Wrk {
    /// # Errors
    ///
    /// If the script cannot be written.
    pub fn new(directory: &std::path::Path, threads: u32, connections: u32) -> Result<Self> {
        let script = directory.join("report.lua");
        fs::write(&script, REPORT)?;
        Ok(Self {
            script,
            threads,
            connections,
        })
    }

    /// # Errors
    ///
    /// If `wrk` fails, or its output is unexpected.
    pub fn run(&self, url: &str, seconds: u32) -> Result<LoadResult> {
        let output = Command::new("wrk")
            .arg(format!("-t{}", self.threads))
            .arg(format!("-c{}", self.connections))
            .arg(format!("-d{seconds}s"))
            .args(["--timeout", "60s", "-s"])
            .arg(&self.script)
            .arg(url)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("wrk: {text}{}", String::from_utf8_lossy(&output.stderr));
        }
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("membench "))
            .with_context(|| format!("no report from wrk: {text}"))?;
        let numbers = line
            .split_whitespace()
            .map(|number| number.parse().context("a number in wrk's report"))
            .collect::<Result<Vec<f64>>>()?;
        let [requests, microseconds, p50, p99, failed] = numbers[..] else {
            bail!("unexpected report from wrk: {line}");
        };
        Ok(LoadResult {
            requests,
            seconds: microseconds / 1e6,
            p50_ms: p50 / 1e3,
            p99_ms: p99 / 1e3,
            failed: failed as u64,
        })
    }
}
