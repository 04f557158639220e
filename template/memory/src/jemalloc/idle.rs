//! Returns unused memory when the service falls idle.
//!
//! jemalloc knows only for how long a page has been unused. With a short decay time, a service under
//! load pays for pages that it returns in one moment and faults in again in the next; with a long
//! one, an idle service keeps its memory. So the profile's decay time is long, and what is unused is
//! returned as soon as the process needs hardly any CPU time.
//!
//! A few objects in the caches of the runtime's threads can hold many pages. Only a thread itself
//! can empty its cache: each does so as it goes to sleep.

use std::{
    cell::Cell,
    sync::{
        atomic::{AtomicU64, Ordering},
        Once,
    },
    thread,
    time::{Duration, Instant},
};

use rustix::time::{clock_gettime, ClockId};
use tokio::runtime::Handle;

use super::purge::{flush_thread_cache, purge};

/// How often the process's CPU time is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// CPU time between two looks from which on the service is at work: a tenth of one core.
const AT_WORK: Duration = Duration::from_millis(5);
/// The least time between two purges: a service that is seldom at work pays for few of them.
const PAUSE: Duration = Duration::from_secs(1);
/// What the runtime's threads need to empty their caches, and more.
const FLUSH: Duration = Duration::from_millis(5);

/// How often the threads were asked to empty their caches, and how often this one has heard it.
static ASKED: AtomicU64 = AtomicU64::new(0);
thread_local! {
    static HEARD: Cell<u64> = const { Cell::new(0) };
}

/// Empties the thread's cache if the service has fallen idle. For a thread of the runtime that goes
/// to sleep.
pub fn on_thread_park() {
    let asked = ASKED.load(Ordering::Relaxed);
    if HEARD.replace(asked) != asked {
        flush_thread_cache();
    }
}

/// Watches the process until it ends, on a thread of its own. There is one watch, however often an
/// application starts in a process.
pub fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| watch_with(Handle::current()));
}

fn watch_with(runtime: Handle) {
    thread::spawn(move || {
        let mut watch = Watch::default();
        loop {
            thread::sleep(LOOK);
            if watch.is_due(cpu_time()) {
                release(&runtime);
                watch.released(cpu_time());
            }
        }
    });
}

/// The CPU time of all threads of this process, since its start.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

fn release(runtime: &Handle) {
    ASKED.fetch_add(1, Ordering::Relaxed);
    // A sleeping thread wakes up for a task, and goes to sleep again.
    for _ in 0..2 * runtime.metrics().num_workers() {
        runtime.spawn(async {});
    }
    thread::sleep(FLUSH);
    match purge() {
        Ok(purged) => tracing::debug!(
            returned_bytes = purged.returned_bytes,
            took_ms = purged.took_ms,
            "idle: unused memory is returned"
        ),
        Err(err) => tracing::warn!(%err, "unused memory cannot be returned"),
    }
}

#[derive(Default)]
struct Watch {
    /// At the last look.
    cpu_time: Duration,
    /// Since the last purge.
    has_worked: bool,
    last_purge: Option<Instant>,
}

impl Watch {
    /// Whether there may be unused memory, and nothing to do.
    fn is_due(&mut self, cpu_time: Duration) -> bool {
        let is_at_work = cpu_time.saturating_sub(self.cpu_time) >= AT_WORK;
        self.cpu_time = cpu_time;
        self.has_worked |= is_at_work;
        self.has_worked && !is_at_work && self.last_purge.is_none_or(|at| at.elapsed() >= PAUSE)
    }

    /// The purge's own CPU time is no work.
    fn released(&mut self, cpu_time: Duration) {
        *self = Self {
            cpu_time,
            has_worked: false,
            last_purge: Some(Instant::now()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the looks say, one after the other, at each of which the process has used so much more
    /// CPU time.
    fn looks(watch: &mut Watch, used_ms: &[u64]) -> Vec<bool> {
        let looks = used_ms.iter().map(|used| {
            let cpu_time = watch.cpu_time + Duration::from_millis(*used);
            watch.is_due(cpu_time)
        });
        looks.collect()
    }

    #[test]
    fn memory_is_returned_once_the_work_is_done() {
        let mut watch = Watch::default();

        assert_eq!(looks(&mut watch, &[1, 80, 90]), [false; 3]);
        assert_eq!(looks(&mut watch, &[1]), [true]);
    }

    #[test]
    fn an_idle_service_returns_memory_once() {
        let mut watch = Watch::default();
        looks(&mut watch, &[80, 1]);
        watch.released(watch.cpu_time + Duration::from_millis(70));
        watch.last_purge = Instant::now().checked_sub(PAUSE);

        assert_eq!(looks(&mut watch, &[1, 1, 0]), [false; 3]);
        assert_eq!(looks(&mut watch, &[80, 1]), [false, true]);
    }

    #[test]
    fn between_two_purges_is_a_pause() {
        let mut watch = Watch::default();
        watch.released(Duration::ZERO);

        assert_eq!(looks(&mut watch, &[80, 1]), [false, false]);
        watch.last_purge = Instant::now().checked_sub(PAUSE);
        assert_eq!(looks(&mut watch, &[1]), [true]);
    }
}
