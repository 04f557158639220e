//! Workers whose jobs leave a log entry when they fail or are interrupted by the end of the
//! process.

use std::{
    collections::BTreeMap,
    marker::PhantomData,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use loco_rs::{bgworker::Queue, prelude::*};
use serde::{de::DeserializeOwned, Serialize};
use serde_json::Value;
use tokio::time::sleep;

/// How often to log the jobs that a shutdown is waiting for.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// The number of running jobs of each worker.
static RUNNING: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

/// A queue that watches its workers.
pub struct WatchedQueue<'a>(pub &'a Queue);

impl WatchedQueue<'_> {
    /// Registers a worker, like [`Queue::register`].
    ///
    /// # Errors
    ///
    /// Returns an error if the queue rejects the worker.
    pub async fn register<A, W>(&self, worker: W) -> Result<()>
    where
        A: DeserializeOwned + Serialize + Send + Sync + 'static,
        W: BackgroundWorker<A> + 'static,
    {
        let args = PhantomData::<fn(A)>;
        self.0.register(Watched { worker, args }).await
    }
}

/// Creates the queue's tables if they are missing. Errors are left to whoever uses the queue next.
pub async fn create_tables(ctx: &AppContext) {
    let Some(queue) = &ctx.queue_provider else {
        return;
    };
    if queue.setup().await.is_err() {
        // Another process may have created them at the same time.
        drop(queue.setup().await);
    }
}

/// Logs the running jobs periodically until they have finished.
pub fn log_running_jobs() {
    tokio::spawn(async {
        loop {
            let jobs: Vec<String> = running()
                .iter()
                .map(|(worker, jobs)| format!("{jobs} of {worker}"))
                .collect();
            if jobs.is_empty() {
                return;
            }
            tracing::warn!(jobs = jobs.join(", "), "waiting for jobs to finish");
            sleep(LOG_INTERVAL).await;
        }
    });
}

struct Watched<A, W> {
    worker: W,
    args: PhantomData<fn(A)>,
}

#[async_trait]
impl<A, W> BackgroundWorker<Value> for Watched<A, W>
where
    A: DeserializeOwned + Serialize + Send + Sync + 'static,
    W: BackgroundWorker<A> + 'static,
{
    fn queue() -> Option<String> {
        W::queue()
    }

    fn tags() -> Vec<String> {
        W::tags()
    }

    fn class_name() -> String {
        W::class_name()
    }

    fn build(ctx: &AppContext) -> Self {
        Self {
            worker: W::build(ctx),
            args: PhantomData,
        }
    }

    async fn perform(&self, args: Value) -> Result<()> {
        let mut job = Job::begin(W::class_name());
        let result = match serde_json::from_value(args) {
            Ok(args) => memory::job(&W::class_name(), self.worker.perform(args)).await,
            Err(err) => Err(err.into()),
        };
        job.end(&result);
        result
    }
}

/// A running job; dropping it counts as its end.
struct Job {
    worker: String,
    has_ended: bool,
}

impl Job {
    fn begin(worker: String) -> Self {
        *running().entry(worker.clone()).or_default() += 1;
        Self {
            worker,
            has_ended: false,
        }
    }

    fn end(&mut self, result: &Result<()>) {
        self.has_ended = true;
        if let Err(err) = result {
            tracing::error!(worker = self.worker, %err, "job failed");
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.has_ended {
            tracing::error!(worker = self.worker, "job interrupted");
        }
        let mut running = running();
        if let Some(jobs) = running.get_mut(&self.worker) {
            *jobs -= 1;
            if *jobs == 0 {
                running.remove(&self.worker);
            }
        }
    }
}

fn running() -> MutexGuard<'static, BTreeMap<String, usize>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
