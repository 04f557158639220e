//! The memory of background jobs.

use std::future::Future;

/// Performs a job of a background worker, and records its memory with the feature `metrics`.
///
/// The histograms `background_job_peak_memory_bytes` and `background_job_allocated_bytes` have, by `worker`,
/// the most that a job held at once, and what it allocated in total.
#[cfg(not(feature = "metrics"))]
pub async fn job<T>(_worker: &str, work: impl Future<Output = T> + Send) -> T {
    work.await
}

/// Performs a job of a background worker, and records its memory with the feature `metrics`.
///
/// The histograms `background_job_peak_memory_bytes` and `background_job_allocated_bytes` have, by `worker`,
/// the most that a job held at once, and what it allocated in total.
#[cfg(feature = "metrics")]
pub async fn job<T>(worker: &str, work: impl Future<Output = T> + Send) -> T {
    use std::{future::poll_fn, pin::pin};

    use crate::usage::Tally;

    let mut work = pin!(work);
    let mut tally = Tally::default();
    let output = poll_fn(|context| tally.count(|| work.as_mut().poll(context))).await;
    crate::metrics::workers::record(worker, &tally);
    output
}
