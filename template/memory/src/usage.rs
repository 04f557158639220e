//! The memory of a request or a job: what its polls allocate and free on the thread that runs them.

use std::cell::Cell;

use crate::allocator::thread_usage;
#[cfg(feature = "metrics")]
use crate::allocator::{reset_thread_peak, thread_peak};

/// What a thread has allocated and freed since its start, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThreadUsage {
    pub allocated: u64,
    pub freed: u64,
}

impl ThreadUsage {
    /// Net bytes allocated. Negative if the thread has freed more than it has allocated, since memory
    /// can be freed by another thread.
    const fn held(self) -> i64 {
        self.allocated.wrapping_sub(self.freed).cast_signed()
    }
}

thread_local! {
    /// Bytes freed by this thread that no task had allocated.
    static FOREIGN_FREED: Cell<i64> = const { Cell::new(0) };
}

/// Net bytes that the tasks on a thread with this usage have allocated, up to a constant.
fn held(usage: ThreadUsage) -> i64 {
    usage.held() + FOREIGN_FREED.get()
}

/// Drops a value that was allocated outside of a task, so that freeing it within that task does not
/// make the task appear to hold less.
pub fn drop_foreign<T>(value: T) {
    #[cfg(feature = "metrics")]
    peak::update();
    let before = thread_usage().held();
    drop(value);
    let freed = before - thread_usage().held();
    FOREIGN_FREED.set(FOREIGN_FREED.get() + freed);
    #[cfg(feature = "metrics")]
    peak::rebase();
}

/// The memory of a task, over all of its polls, in bytes.
#[derive(Debug, Default)]
pub struct Tally {
    /// Allocated and not freed.
    pub held: i64,
    pub allocated: u64,
    #[cfg(feature = "metrics")]
    peak: i64,
}

impl Tally {
    /// Polls a part of the task's work, and accounts for its memory.
    pub fn count<T>(&mut self, poll: impl FnOnce() -> T) -> T {
        let start = thread_usage();
        let before = held(start);
        #[cfg(feature = "metrics")]
        let outer = peak::start(before);
        let polled = poll();
        #[cfg(feature = "metrics")]
        {
            self.peak = self.peak.max(self.held + peak::end(outer) - before);
        }
        let end = thread_usage();
        self.held += held(end) - before;
        self.allocated += end.allocated - start.allocated;
        polled
    }

    /// The most that was held at once. May be up to 64 KiB too low: jemalloc updates its peak only
    /// at that granularity.
    #[cfg(feature = "metrics")]
    pub fn peak(&self) -> u64 {
        u64::try_from(self.peak).unwrap_or(0)
    }
}

/// The most that a thread's tasks held during a poll, on the scale of [`held`]. Polls can be nested: a
/// job may run within a request.
#[cfg(feature = "metrics")]
mod peak {
    use super::{held, reset_thread_peak, thread_peak, thread_usage, Cell};

    thread_local! {
        /// What was held when jemalloc's peak was last reset.
        static BASE: Cell<i64> = const { Cell::new(0) };
        static MAX: Cell<i64> = const { Cell::new(0) };
    }

    /// Starts a poll, and returns the enclosing poll's maximum, which [`end`] restores.
    pub fn start(held: i64) -> i64 {
        update();
        reset_thread_peak();
        BASE.set(held);
        MAX.replace(held)
    }

    pub fn end(outer: i64) -> i64 {
        update();
        let max = MAX.get();
        MAX.set(max.max(outer));
        max
    }

    pub fn update() {
        MAX.set(MAX.get().max(BASE.get() + thread_peak()));
    }

    /// Continues after a change of the scale.
    pub fn rebase() {
        reset_thread_peak();
        BASE.set(held(thread_usage()));
    }
}

#[cfg(all(
    test,
    feature = "metrics",
    feature = "jemalloc",
    not(target_env = "msvc")
))]
mod tests {
    use std::hint::black_box;

    use super::*;

    const MIB: usize = 1 << 20;

    /// Whether a figure is `mebibytes`, within 5 %.
    #[track_caller]
    fn assert_mebibytes(bytes: i64, mebibytes: i64) {
        let expected = mebibytes << 20;
        assert!((bytes - expected).abs() < expected / 20, "{bytes} bytes");
    }

    fn allocate(mebibytes: usize) -> Vec<u8> {
        black_box(vec![1; mebibytes * MIB])
    }

    #[test]
    fn the_peak_within_a_poll_counts() {
        let mut tally = Tally::default();

        let kept = tally.count(|| {
            drop(allocate(8));
            allocate(2)
        });
        tally.count(|| drop(allocate(4)));

        assert_mebibytes(tally.peak, 8);
        assert_mebibytes(tally.held, 2);
        tally.count(|| drop(allocate(9)));
        assert_mebibytes(tally.peak, 11);
        drop(kept);
    }

    #[test]
    fn a_task_within_a_task_has_a_peak_of_its_own() {
        let (mut outer, mut inner) = (Tally::default(), Tally::default());

        outer.count(|| {
            let kept = allocate(4);
            inner.count(|| drop(allocate(2)));
            drop(kept);
        });
        assert_mebibytes(inner.peak, 2);
        assert_mebibytes(outer.peak, 6);

        let mut outer = Tally::default();
        outer.count(|| {
            drop(allocate(8));
            inner.count(|| drop(allocate(3)));
            drop(allocate(1));
        });
        assert_mebibytes(inner.peak, 3);
        assert_mebibytes(outer.peak, 8);
    }

    #[test]
    fn what_others_have_allocated_does_not_count() {
        let mut tally = Tally::default();
        let foreign = allocate(16);

        tally.count(|| {
            let kept = allocate(4);
            drop_foreign(foreign);
            drop(allocate(2));
            drop(kept);
        });

        assert_mebibytes(tally.peak, 6);
        assert!(tally.held.abs() < 100_000, "{}", tally.held);
    }
}
