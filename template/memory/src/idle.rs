//! Returns unused memory when the service goes idle.
//!
//! jemalloc only knows for how long a page has been unused, and glibc's malloc not even that. With
//! a short decay time, a service under load pays for returning pages that it faults in again a
//! moment later; with a long one, an idle service keeps its memory. So the profile's decay time is
//! long, and unused memory is returned as soon as the process needs hardly any CPU time.
//!
//! A few objects in the caches of the runtime's threads can keep many pages in use. Only a thread
//! itself can flush its cache, so each worker is made to do so.

use std::{
    sync::{Arc, Condvar, Mutex, Once, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::time::{clock_gettime, ClockId};
use tokio::runtime::Handle;

use crate::{
    allocator::{return_pages, CAN_PURGE, FLUSH_THREAD_CACHE},
    cores,
};

/// How often to read the process's CPU time while it is busy, and while it is idle.
const BUSY_POLL_INTERVAL: Duration = Duration::from_millis(50);
const IDLE_POLL_INTERVAL: Duration = Duration::from_millis(500);
/// CPU time between two polls at or above which there may be memory to return.
const MIN_WORK: Duration = Duration::from_millis(5);
/// The minimum time between two purges, and the maximum to which that grows.
const MIN_PURGE_INTERVAL: Duration = Duration::from_secs(1);
const MAX_PURGE_INTERVAL: Duration = Duration::from_secs(32);
/// Ample time for all workers to meet. One that is blocked is not waited for.
const RENDEZVOUS_TIMEOUT: Duration = Duration::from_millis(50);

/// Watches the process on a separate thread until it ends. Further calls, as when an application
/// starts again in the same process, do nothing.
pub fn watch() {
    static WATCHED: Once = Once::new();
    if CAN_PURGE {
        WATCHED.call_once(|| watch_with(Handle::current()));
    }
}

fn watch_with(runtime: Handle) {
    thread::spawn(move || {
        let mut detector = IdleDetector::new(cores());
        let mut last_poll = Instant::now();
        loop {
            thread::sleep(detector.poll_interval());
            let elapsed = last_poll.elapsed();
            last_poll += elapsed;
            if detector.is_due(cpu_time(ClockId::ProcessCPUTime), elapsed, last_poll) {
                let others = release_unused(&runtime);
                detector.record_purge(cpu_time(ClockId::ProcessCPUTime), others, Instant::now());
                last_poll = Instant::now();
            }
        }
    });
}

/// The CPU time of this thread, or of all threads of this process, since its start.
fn cpu_time(of: ClockId) -> Duration {
    Duration::try_from(clock_gettime(of)).unwrap_or_default()
}

/// Returns unused memory to the system, and reports how much CPU time other threads have used in
/// the meantime.
fn release_unused(runtime: &Handle) -> Duration {
    let process = cpu_time(ClockId::ProcessCPUTime);
    let own = cpu_time(ClockId::ThreadCPUTime);
    if let Some(flush) = FLUSH_THREAD_CACHE {
        on_all_workers(runtime, flush);
    }
    match return_pages() {
        Ok(()) => tracing::debug!("idle: unused memory has been returned"),
        Err(err) => tracing::warn!(%err, "cannot return unused memory"),
    }
    let process = cpu_time(ClockId::ProcessCPUTime).saturating_sub(process);
    process.saturating_sub(cpu_time(ClockId::ThreadCPUTime).saturating_sub(own))
}

/// Runs `task` on every worker of the runtime, and returns how many were reached. tokio wakes no
/// second worker while one is looking for work, so one worker would run the tasks of many: each
/// task blocks its worker until all have arrived.
fn on_all_workers(runtime: &Handle, task: fn()) -> usize {
    let workers = runtime.metrics().num_workers();
    let rendezvous = Arc::new((Mutex::new(0), Condvar::new()));
    for _ in 0..workers {
        let rendezvous = Arc::clone(&rendezvous);
        runtime.spawn(async move {
            task();
            let (arrived, condvar) = &*rendezvous;
            let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
            *arrived += 1;
            condvar.notify_all();
            drop(
                condvar
                    .wait_timeout_while(arrived, RENDEZVOUS_TIMEOUT, |arrived| *arrived < workers),
            );
        });
    }
    let (arrived, condvar) = &*rendezvous;
    let arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
    condvar
        .wait_timeout_while(arrived, RENDEZVOUS_TIMEOUT, |arrived| *arrived < workers)
        .map_or(0, |(arrived, _)| *arrived)
}

struct IdleDetector {
    /// The CPU time per second at or above which the service is busy, as a share of a core.
    busy_threshold: f64,
    /// At the last poll.
    cpu_time: Duration,
    /// Whether there was work since the last purge.
    has_worked: bool,
    last_purge: Option<Instant>,
    /// The minimum time between two purges, which grows if returned memory is needed again soon.
    purge_interval: Duration,
}

impl IdleDetector {
    fn new(cores: usize) -> Self {
        Self {
            // A tenth of a core, or a fiftieth of many cores: there is always something to do.
            #[allow(clippy::cast_precision_loss)] // few
            busy_threshold: (cores as f64 / 50.0).max(0.1),
            cpu_time: Duration::ZERO,
            has_worked: false,
            last_purge: None,
            purge_interval: MIN_PURGE_INTERVAL,
        }
    }

    const fn poll_interval(&self) -> Duration {
        if self.has_worked {
            BUSY_POLL_INTERVAL
        } else {
            IDLE_POLL_INTERVAL
        }
    }

    /// Whether there may be unused memory while nothing needs the CPU.
    fn is_due(&mut self, cpu_time: Duration, elapsed: Duration, now: Instant) -> bool {
        let used = cpu_time.saturating_sub(self.cpu_time);
        self.cpu_time = cpu_time;
        if used >= MIN_WORK && !self.has_worked {
            self.has_worked = true;
            self.adapt_purge_interval(now);
        }
        let is_busy = used.as_secs_f64() >= elapsed.as_secs_f64() * self.busy_threshold;
        self.has_worked
            && !is_busy
            && self
                .last_purge
                .is_none_or(|at| now - at >= self.purge_interval)
    }

    /// Work has begun again. If the last purge was recent, its pages had to be faulted in again.
    fn adapt_purge_interval(&mut self, now: Instant) {
        self.purge_interval = match self.last_purge {
            Some(at) if now - at < 2 * self.purge_interval => {
                (2 * self.purge_interval).min(MAX_PURGE_INTERVAL)
            }
            _ => MIN_PURGE_INTERVAL,
        };
    }

    /// Records a purge. CPU time that other threads used during it counts as work, that of the
    /// purge itself does not.
    fn record_purge(&mut self, cpu_time: Duration, others: Duration, now: Instant) {
        self.cpu_time = cpu_time;
        self.has_worked = others >= MIN_WORK;
        self.last_purge = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A detector and its clock. It is polled every [`BUSY_POLL_INTERVAL`].
    struct Simulation {
        detector: IdleDetector,
        now: Instant,
    }

    impl Simulation {
        fn new(cores: usize) -> Self {
            Self {
                detector: IdleDetector::new(cores),
                now: Instant::now(),
            }
        }

        fn sample(&mut self, used_ms: u64) -> bool {
            self.now += BUSY_POLL_INTERVAL;
            let cpu_time = self.detector.cpu_time + Duration::from_millis(used_ms);
            let is_due = self.detector.is_due(cpu_time, BUSY_POLL_INTERVAL, self.now);
            if is_due {
                self.detector
                    .record_purge(cpu_time, Duration::ZERO, self.now);
            }
            is_due
        }

        /// Lets this many seconds pass without work.
        fn idle_for(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }
    }

    #[test]
    fn memory_is_returned_once_the_work_is_done() {
        let mut simulation = Simulation::new(2);

        assert_eq!([1, 80, 90].map(|used| simulation.sample(used)), [false; 3]);
        assert!(simulation.sample(1));
        assert_eq!([1, 1, 0].map(|used| simulation.sample(used)), [false; 3]);
        simulation.idle_for(60);
        assert!(!simulation.sample(80));
        assert!(simulation.sample(1));
    }

    #[test]
    fn the_pause_between_purges_grows_if_memory_is_needed_again_soon() {
        let mut simulation = Simulation::new(2);
        simulation.sample(80);
        assert!(simulation.sample(1));

        assert_eq!([80, 1].map(|used| simulation.sample(used)), [false; 2]);
        simulation.idle_for(1);
        assert!(!simulation.sample(1), "it was needed again at once: 2 s");
        simulation.idle_for(1);
        assert!(simulation.sample(1));
        simulation.sample(80);
        simulation.idle_for(3);
        assert!(!simulation.sample(1), "and again: 4 s");
        simulation.idle_for(1);
        assert!(simulation.sample(1));
        simulation.idle_for(60);
        assert!(!simulation.sample(80));
        assert!(simulation.sample(1), "forgotten");
    }

    #[test]
    fn work_during_a_purge_is_not_forgotten() {
        let mut simulation = Simulation::new(2);
        simulation
            .detector
            .record_purge(Duration::ZERO, MIN_WORK, simulation.now);

        assert!(!simulation.sample(0));
        simulation.idle_for(1);
        assert!(simulation.sample(0));
    }

    #[test]
    fn many_cores_are_idle_with_something_to_do() {
        let mut simulation = Simulation::new(64);

        simulation.sample(500);
        assert!(simulation.sample(50), "one of 64 cores");
    }

    /// How many workers were reached: all of them if one of many attempts reached all, since some
    /// are late on a busy machine, and otherwise 0.
    fn reached(workers: usize) -> usize {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .build()
            .expect("a runtime");
        (0..100)
            .map(|_| on_all_workers(runtime.handle(), || ()))
            .find(|arrived| *arrived == workers)
            .unwrap_or_default()
    }

    #[test]
    fn every_worker_is_reached() {
        for workers in [1, 2, 16, 64] {
            assert_eq!(reached(workers), workers);
        }
    }
}
