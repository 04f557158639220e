//! Checks and describes the machine that the benchmark runs on.

use std::{fs, process::Command};

use anyhow::{bail, Context, Result};

/// Checks that the benchmark can run.
///
/// # Errors
///
/// If something is missing; the error says what, and how to get it.
pub fn check(connections: u32) -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("the benchmark reads /proc, so it runs only on Linux");
    }
    let mut missing = Vec::new();
    if Command::new("wrk").arg("--version").output().is_err() {
        missing.push(
            "wrk, which generates the load (apt-get install wrk, brew install wrk, or \
             github.com/wg/wrk)"
                .to_string(),
        );
    }
    let needed = connections + 200;
    let files = open_files()?;
    if files < needed {
        missing.push(format!(
            "open files: {needed} needed, {files} allowed (ulimit -n {needed})"
        ));
    }
    if missing.is_empty() {
        Ok(())
    } else {
        bail!("missing:\n- {}", missing.join("\n- "))
    }
}

/// How many files a process may open.
fn open_files() -> Result<u32> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let soft = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|line| line.split_whitespace().next())
        .context("/proc/self/limits has no line about open files")?;
    Ok(soft.parse().unwrap_or(u32::MAX))
}

/// Processor, cores, memory and kernel, in one line.
///
/// # Errors
///
/// If /proc cannot be read.
pub fn describe() -> Result<String> {
    let cpu_info = fs::read_to_string("/proc/cpuinfo")?;
    let processor = cpu_info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("an unnamed processor", |line| {
            line.trim_start_matches([' ', '\t', ':'])
        });
    let memory = fs::read_to_string("/proc/meminfo")?
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .map_or(0, |kibibytes: u64| (kibibytes + (1 << 19)) >> 20);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let release = kernel.split('-').next().unwrap_or_default().trim();
    Ok(format!(
        "{processor}, {} virtual cores, {memory} GiB, Linux {release}",
        cores()
    ))
}

/// The number of cores that a process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Today's date, as in `2026-01-31`.
///
/// # Errors
///
/// If `date` fails.
pub fn today() -> Result<String> {
    let date = Command::new("date").arg("+%F").output()?;
    Ok(String::from_utf8(date.stdout)?.trim().to_string())
}
