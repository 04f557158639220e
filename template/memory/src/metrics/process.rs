//! The process, under Prometheus' standard names.

use loco_rs::prelude::*;
use metrics::{describe_gauge, gauge};
use metrics_process::Collector;

use super::set;
use crate::Process;

const BUILD: &str = "build_info";
const RSS: &str = "process_resident_memory_bytes";
const LAZY_FREE: &str = "process_lazyfree_memory_bytes";

pub fn describe() {
    Collector::default().describe();
    describe_gauge!(BUILD, "The application's version, always 1.");
    describe_gauge!(
        LAZY_FREE,
        "The part of the resident memory that the kernel takes as soon as it needs it."
    );
}

/// Reports the version that [`loco_rs::app::Hooks`] states.
pub fn set_version(version: String) {
    gauge!(BUILD, "version" => version).set(1.0);
}

/// Declares CPU time as a counter in the output: the recorder's counters are integers and would
/// drop fractions of a second.
pub fn as_counter(rendered: &str) -> String {
    rendered.replace(
        "# TYPE process_cpu_seconds_total gauge",
        "# TYPE process_cpu_seconds_total counter",
    )
}

pub fn read() -> Result<()> {
    Collector::default().collect();
    // Replaces the collector's figure, which the kernel only approximates (it may be off by some
    // pages per CPU), with one that matches `LazyFree`.
    let process = Process::read()?;
    set(RSS, process.rss);
    if let Some(lazy_free) = process.lazy_free {
        set(LAZY_FREE, lazy_free);
    }
    Ok(())
}
