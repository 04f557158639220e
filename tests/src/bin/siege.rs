//! The siege, as a table: each service in a memory cgroup of its own, attacked in turn. It takes root,
//! and `ulimit -n 20000`.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;
use template_tests::siege::{attack, Attack};

#[derive(Parser)]
struct Args {
    /// `NAME=BINARY=DIRECTORY`: a release binary with the routes of `tests/fixtures/load.rs`, and where
    /// it starts.
    #[arg(long, required = true)]
    service: Vec<String>,
    /// Of the cgroup, in MiB.
    #[arg(long, default_value_t = 256)]
    limit: u64,
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Only attacks whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// `NAME=VALUE`, for the services.
    #[arg(long)]
    env: Vec<String>,
    /// Where the outcomes are written as JSON, a line each.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut lines = Vec::new();
    for round in 0..args.rounds {
        for row in Attack::ALL {
            if !row.name().contains(&args.only) {
                continue;
            }
            for service in &args.service {
                let mut parts = service.split('=');
                let mut part = || parts.next().context("NAME=BINARY=DIRECTORY");
                let (name, binary, directory) = (part()?, part()?, part()?);
                let mut env = vec![
                    ("BINDING", "127.0.0.1"),
                    ("LOG_LEVEL", "warn"),
                    ("DATABASE_URL", "sqlite://siege.sqlite?mode=rwc"),
                ];
                env.extend(args.env.iter().filter_map(|pair| pair.split_once('=')));
                let outcome = attack(
                    name,
                    binary.as_ref(),
                    directory.as_ref(),
                    &env,
                    row,
                    args.limit << 20,
                    Duration::from_secs(args.seconds),
                )?;
                println!(
                    "{round} {:<10} {:<42} kills {} peak {:>5.0} honest {:>5} 503 {:>4} failed {:>3} p50 {:>6.1} p99 {:>7.1} worst {:>7.1} load/s {:>6.0} {}",
                    outcome.service, outcome.attack, outcome.kills, outcome.peak_mib, outcome.answered,
                    outcome.refused, outcome.failed, outcome.p50_ms, outcome.p99_ms, outcome.worst_ms,
                    outcome.load_per_second, outcome.last_failure.as_deref().unwrap_or("")
                );
                lines.push(serde_json::to_string(&outcome)?);
            }
        }
    }
    if let Some(path) = args.json {
        std::fs::write(path, lines.join("\n") + "\n")?;
    }
    Ok(())
}
