//! The memory of background jobs, by the name of their worker.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use metrics::{describe_histogram, histogram};

use super::top::{table, Holder};
use crate::usage::Tally;

const PEAK: &str = "background_job_peak_memory_bytes";
const ALLOCATED: &str = "background_job_allocated_bytes";

/// What the jobs of each worker have held in this process.
static WORKERS: Mutex<BTreeMap<String, Totals>> = Mutex::new(BTreeMap::new());

#[derive(Default, Clone, Copy)]
struct Totals {
    jobs: u64,
    peak: u64,
    allocated: u64,
}

impl Totals {
    fn add(&mut self, peak: u64, allocated: u64) {
        self.jobs += 1;
        self.peak = self.peak.max(peak);
        self.allocated += allocated;
    }
}

pub fn describe() {
    describe_histogram!(PEAK, "The most memory that a job held at once, by worker.");
    describe_histogram!(
        ALLOCATED,
        "Memory that a job allocated, whether or not it freed it, by worker."
    );
}

/// A job has ended. Zero allocated bytes mean that the allocator does not count them, so nothing is
/// recorded.
#[allow(clippy::cast_precision_loss)] // exact up to 8 PiB
pub fn record(worker: &str, tally: &Tally) {
    let (peak, allocated) = (tally.peak(), tally.allocated);
    if allocated == 0 {
        return;
    }
    histogram!(PEAK, "worker" => worker.to_string()).record(peak as f64);
    histogram!(ALLOCATED, "worker" => worker.to_string()).record(allocated as f64);
    WORKERS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(worker.to_string())
        .or_default()
        .add(peak, allocated);
}

/// A table of the workers whose jobs have held the most: the largest peak, and what a job allocates on
/// average.
pub fn report() -> String {
    let workers = WORKERS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let workers = workers.into_iter().map(|(name, totals)| Holder {
        name,
        count: totals.jobs,
        peak: totals.peak,
        allocated: totals.allocated,
    });
    table("top workers", "jobs", workers)
}
