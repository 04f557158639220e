use crate::allocator::thread_usage;

/// What a thread has allocated and freed since its start, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThreadUsage {
    pub allocated: u64,
    pub freed: u64,
}

impl ThreadUsage {
    /// Net bytes allocated. Negative if the thread has freed more than it has allocated, since memory
    /// can be freed by another thread.
    pub const fn held(self) -> i64 {
        self.allocated.wrapping_sub(self.freed).cast_signed()
    }
}

/// The memory of a task, over all of its polls, in bytes.
#[derive(Debug, Default)]
pub struct Tally {
    /// Allocated and not freed.
    pub held: i64,
    pub allocated: u64,
}

impl Tally {
    /// Polls a part of the task's work, and accounts for its memory.
    pub fn count<T>(&mut self, poll: impl FnOnce() -> T) -> T {
        let before = thread_usage();
        let polled = poll();
        let after = thread_usage();
        self.held += after.held() - before.held();
        self.allocated += after.allocated - before.allocated;
        polled
    }
}
