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
