//! The load: `wrk`, and what it says.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{bail, Context, Result};

/// wrk's own report rounds; this one does not. Times are microseconds.
const REPORT: &str = r#"
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("\nmembench %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"#;

/// A column of the tables: a route of `fixtures/load.rs`, and how it is asked.
pub struct Route {
    pub name: &'static str,
    pub path: &'static str,
    pub load: Load,
}

/// How requests are sent.
#[derive(Debug, Clone, Copy)]
pub enum Load {
    /// Each client sends its next request once it has its answer: as fast as the service answers.
    Closed,
    /// The same, with pauses in which nobody asks.
    Bursts,
    /// So many requests a second, however fast the service answers.
    Open { rate: u32 },
}

pub struct Wrk {
    script: PathBuf,
    pub threads: u32,
    pub connections: u32,
}

/// What one run of a load has seen.
#[derive(Debug, Clone, Copy)]
pub struct Answers {
    pub requests: f64,
    pub seconds: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub failed: u64,
}

impl Wrk {
    /// # Errors
    ///
    /// When the script cannot be written.
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
    /// When `wrk` fails, or says something else than expected.
    pub fn run(&self, url: &str, seconds: u32) -> Result<Answers> {
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
            .with_context(|| format!("wrk says nothing: {text}"))?;
        let figures = line
            .split_whitespace()
            .map(|figure| figure.parse().context("a figure of wrk's"))
            .collect::<Result<Vec<f64>>>()?;
        let [requests, microseconds, p50, p99, failed] = figures[..] else {
            bail!("wrk says {line}");
        };
        Ok(Answers {
            requests,
            seconds: microseconds / 1e6,
            p50_ms: p50 / 1e3,
            p99_ms: p99 / 1e3,
            failed: failed as u64,
        })
    }
}
