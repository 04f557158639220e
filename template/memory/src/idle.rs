//! Returns unused memory when the service falls idle.
//!
//! jemalloc knows only for how long a page has been unused, and glibc's malloc not even that. With a short decay time, a service under
//! load pays for pages that it returns in one moment and faults in again in the next; with a long
//! one, an idle service keeps its memory. So the profile's decay time is long, and what is unused is
//! returned as soon as the process needs hardly any CPU time.
//!
//! A few objects in the caches of the runtime's threads can hold many pages. Only a thread itself
//! can empty its cache: each worker does so when it is asked to.

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

/// How often the process's CPU time is looked at while it works, and while it does not.
const LOOK: Duration = Duration::from_millis(50);
const SELDOM: Duration = Duration::from_millis(500);
/// CPU time between two looks from which on there may be something to return.
const WORK: Duration = Duration::from_millis(5);
/// The least and the longest time between two purges.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(32);
/// What all workers need to meet, and more. One that is blocked is not waited for.
const MEETING: Duration = Duration::from_millis(50);

/// Watches the process until it ends, on a thread of its own. There is one watch, however often an
/// application starts in a process.
pub fn watch() {
    static WATCHED: Once = Once::new();
    if CAN_PURGE {
        WATCHED.call_once(|| watch_with(Handle::current()));
    }
}

fn watch_with(runtime: Handle) {
    thread::spawn(move || {
        let mut watch = Watch::new(cores());
        let mut looked = Instant::now();
        loop {
            thread::sleep(watch.next_look());
            let elapsed = looked.elapsed();
            looked += elapsed;
            if watch.is_due(cpu_time(ClockId::ProcessCPUTime), elapsed, looked) {
                let others = release(&runtime);
                watch.released(cpu_time(ClockId::ProcessCPUTime), others, Instant::now());
                looked = Instant::now();
            }
        }
    });
}

/// The CPU time of this thread or of all threads of this process, since its start.
fn cpu_time(of: ClockId) -> Duration {
    Duration::try_from(clock_gettime(of)).unwrap_or_default()
}

/// Returns what is unused. The CPU time that others have used meanwhile.
fn release(runtime: &Handle) -> Duration {
    let process = cpu_time(ClockId::ProcessCPUTime);
    let own = cpu_time(ClockId::ThreadCPUTime);
    if let Some(flush) = FLUSH_THREAD_CACHE {
        on_all_workers(runtime, flush);
    }
    match return_pages() {
        Ok(()) => tracing::debug!("idle: unused memory is returned"),
        Err(err) => tracing::warn!(%err, "unused memory cannot be returned"),
    }
    let process = cpu_time(ClockId::ProcessCPUTime).saturating_sub(process);
    process.saturating_sub(cpu_time(ClockId::ThreadCPUTime).saturating_sub(own))
}

/// Lets every worker of the runtime do this. tokio wakes no second worker while one looks for work,
/// so that one would do the tasks of many: each keeps its worker until all have come. How many have.
fn on_all_workers(runtime: &Handle, task: fn()) -> usize {
    let workers = runtime.metrics().num_workers();
    let meeting = Arc::new((Mutex::new(0), Condvar::new()));
    for _ in 0..workers {
        let meeting = Arc::clone(&meeting);
        runtime.spawn(async move {
            task();
            let (here, has_come) = &*meeting;
            let mut here = here.lock().unwrap_or_else(PoisonError::into_inner);
            *here += 1;
            has_come.notify_all();
            drop(has_come.wait_timeout_while(here, MEETING, |here| *here < workers));
        });
    }
    let (here, has_come) = &*meeting;
    let here = here.lock().unwrap_or_else(PoisonError::into_inner);
    has_come
        .wait_timeout_while(here, MEETING, |here| *here < workers)
        .map_or(0, |(here, _)| *here)
}

struct Watch {
    /// CPU time a second from which on the service is at work, as a share of a core.
    at_work: f64,
    /// At the last look.
    cpu_time: Duration,
    /// Since the last purge.
    has_worked: bool,
    last_purge: Option<Instant>,
    /// The least time from one purge to the next: longer where what was returned is wanted back.
    pause: Duration,
}

impl Watch {
    fn new(cores: usize) -> Self {
        Self {
            // A tenth of a core; of many, a fiftieth: there is always something to do.
            #[allow(clippy::cast_precision_loss)] // few
            at_work: (cores as f64 / 50.0).max(0.1),
            cpu_time: Duration::ZERO,
            has_worked: false,
            last_purge: None,
            pause: PAUSE,
        }
    }

    const fn next_look(&self) -> Duration {
        if self.has_worked {
            LOOK
        } else {
            SELDOM
        }
    }

    /// Whether there may be unused memory, and nothing to do.
    fn is_due(&mut self, cpu_time: Duration, elapsed: Duration, now: Instant) -> bool {
        let used = cpu_time.saturating_sub(self.cpu_time);
        self.cpu_time = cpu_time;
        if used >= WORK && !self.has_worked {
            self.has_worked = true;
            self.adapt_pause(now);
        }
        let is_at_work = used.as_secs_f64() >= elapsed.as_secs_f64() * self.at_work;
        self.has_worked && !is_at_work && self.last_purge.is_none_or(|at| now - at >= self.pause)
    }

    /// There is work again: what was returned a moment ago had to be taken back.
    fn adapt_pause(&mut self, now: Instant) {
        self.pause = match self.last_purge {
            Some(at) if now - at < 2 * self.pause => (2 * self.pause).min(LONGEST_PAUSE),
            _ => PAUSE,
        };
    }

    /// Memory was returned, while others have used so much CPU time: that is work, the purge's own
    /// time is none.
    fn released(&mut self, cpu_time: Duration, others: Duration, now: Instant) {
        self.cpu_time = cpu_time;
        self.has_worked = others >= WORK;
        self.last_purge = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A watch and its time: what it says at looks each [`LOOK`], between which the process has used
    /// so much more CPU time.
    struct Looks {
        watch: Watch,
        now: Instant,
    }

    impl Looks {
        fn new(cores: usize) -> Self {
            Self {
                watch: Watch::new(cores),
                now: Instant::now(),
            }
        }

        fn after(&mut self, used_ms: u64) -> bool {
            self.now += LOOK;
            let cpu_time = self.watch.cpu_time + Duration::from_millis(used_ms);
            let is_due = self.watch.is_due(cpu_time, LOOK, self.now);
            if is_due {
                self.watch.released(cpu_time, Duration::ZERO, self.now);
            }
            is_due
        }

        /// Seconds without work.
        fn rest(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }
    }

    #[test]
    fn memory_is_returned_once_the_work_is_done() {
        let mut looks = Looks::new(2);

        assert_eq!([1, 80, 90].map(|used| looks.after(used)), [false; 3]);
        assert!(looks.after(1));
        assert_eq!([1, 1, 0].map(|used| looks.after(used)), [false; 3]);
        looks.rest(60);
        assert!(!looks.after(80));
        assert!(looks.after(1));
    }

    #[test]
    fn between_two_purges_is_a_pause_which_grows_where_memory_is_wanted_back() {
        let mut looks = Looks::new(2);
        looks.after(80);
        assert!(looks.after(1));

        assert_eq!([80, 1].map(|used| looks.after(used)), [false; 2]);
        looks.rest(1);
        assert!(!looks.after(1), "it was wanted back at once: 2 s");
        looks.rest(1);
        assert!(looks.after(1));
        looks.after(80);
        looks.rest(3);
        assert!(!looks.after(1), "and again: 4 s");
        looks.rest(1);
        assert!(looks.after(1));
        looks.rest(60);
        assert!(!looks.after(80));
        assert!(looks.after(1), "forgotten");
    }

    #[test]
    fn work_during_a_purge_is_not_forgotten() {
        let mut looks = Looks::new(2);
        looks.watch.released(Duration::ZERO, WORK, looks.now);

        assert!(!looks.after(0));
        looks.rest(1);
        assert!(looks.after(0));
    }

    #[test]
    fn many_cores_are_idle_with_something_to_do() {
        let mut looks = Looks::new(64);

        looks.after(500);
        assert!(looks.after(50), "one of 64 cores");
    }

    /// How many workers have come, in one of some meetings: on a busy machine some are late.
    fn reached(workers: usize) -> usize {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .build()
            .expect("a runtime");
        (0..100)
            .map(|_| on_all_workers(runtime.handle(), || ()))
            .find(|here| *here == workers)
            .unwrap_or_default()
    }

    #[test]
    fn every_worker_is_reached() {
        for workers in [1, 2, 16, 64] {
            assert_eq!(reached(workers), workers);
        }
    }
}
