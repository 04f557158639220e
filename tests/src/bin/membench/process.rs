//! A process as the kernel sees it.

use std::fs;

use anyhow::{Context, Result};

/// Clock ticks per second: Linux reports 100 to user space on every platform that Rust supports.
const TICKS: f64 = 100.0;
const PAGE: f64 = 4096.0;

/// Resident memory in megabytes, read quickly.
///
/// # Errors
///
/// If the process has exited.
pub fn rss_mb(id: u32) -> Result<f64> {
    let statm = fs::read_to_string(format!("/proc/{id}/statm"))?;
    let pages: f64 = statm
        .split_whitespace()
        .nth(1)
        .context("statm has two figures")?
        .parse()?;
    Ok(pages * PAGE / 1e6)
}

/// Resident memory in megabytes, exact to the page, and how much of it the kernel may reclaim at
/// any time.
///
/// # Errors
///
/// If the process has exited.
pub fn rss_and_lazy_free_mb(id: u32) -> Result<(f64, f64)> {
    let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
    Ok((field_mb(&rollup, "Rss:")?, field_mb(&rollup, "LazyFree:")?))
}

/// Peak resident memory in megabytes.
///
/// # Errors
///
/// If the process has exited.
pub fn peak_mb(id: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    field_mb(&status, "VmHWM:")
}

fn field_mb(text: &str, field: &str) -> Result<f64> {
    let kibibytes: f64 = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB"))
        .with_context(|| format!("no {field}"))?
        .parse()?;
    Ok(kibibytes * 1024.0 / 1e6)
}

/// CPU time of all threads in seconds, in user space and in the kernel.
///
/// # Errors
///
/// If the process has exited.
pub fn cpu_seconds(id: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name in parentheses may contain spaces: `utime` and `stime` are the 12th and 13th field
    // after it.
    let (_, fields) = stat.rsplit_once(") ").context("stat has a name")?;
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<f64>().context("ticks"))
        .sum::<Result<f64>>()?;
    Ok(ticks / TICKS)
}
