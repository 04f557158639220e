//! The platform's own allocator, which has no statistics.

use std::fmt;

use axum::Router;
use loco_rs::prelude::*;

use crate::{
    black_box::{BlackBox, HeapDump},
    process::transparent_huge_pages,
    profile,
    usage::ThreadUsage,
};

pub use std::alloc::System as Allocator;

/// Whether unused pages can be returned on demand.
pub const CAN_PURGE: bool = cfg!(all(target_os = "linux", target_env = "gnu"));

/// The platform's malloc assigns its arenas by itself.
pub const fn bind_thread() {}

/// Always 0: nothing counts what a thread allocates.
pub const fn thread_usage() -> ThreadUsage {
    ThreadUsage {
        allocated: 0,
        freed: 0,
    }
}

/// Always 0: nothing counts what a thread holds.
#[cfg(feature = "metrics")]
pub const fn thread_peak() -> i64 {
    0
}

#[cfg(feature = "metrics")]
pub const fn reset_thread_peak() {}

/// None, since nothing can be done to the allocator.
pub fn routes(_black_box: Option<&BlackBox>) -> Router {
    Router::new()
}

/// Takes no heap profile: the platform's malloc takes no samples.
///
/// # Errors
///
/// Never.
#[allow(clippy::unnecessary_wraps)] // jemalloc's can fail
pub const fn dump_heap_profile() -> Result<Option<HeapDump>> {
    Ok(None)
}

/// Unknown: the platform's malloc has no statistics.
///
/// # Errors
///
/// Always.
pub fn live() -> Result<u64> {
    Err(Error::string("only jemalloc has statistics"))
}

/// Unknown: the platform's malloc has no statistics.
///
/// # Errors
///
/// Never.
#[allow(clippy::unnecessary_wraps)] // jemalloc's can fail
pub const fn unused() -> Result<Option<u64>> {
    Ok(None)
}

/// Reports that the platform's allocator is in use.
#[derive(Debug)]
pub struct Report;

impl Report {
    /// # Errors
    ///
    /// Never: there is nothing to read.
    pub const fn read() -> Result<Self> {
        Ok(Self)
    }

    /// The parts of the profile that are not in effect, and why: one sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        profile::problems()
    }

    /// Logs the allocator in one line.
    pub fn log(&self) {
        tracing::info!(
            allocator = "system",
            huge_pages = transparent_huge_pages(),
            "memory"
        );
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "allocator   system: the platform's malloc")
    }
}

/// Returns every unused page of glibc's malloc: `malloc_trim(3)`.
///
/// # Errors
///
/// Never.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(clippy::unnecessary_wraps)] // others can fail
pub fn return_pages() -> Result<()> {
    // SAFETY: it takes the locks that it needs.
    unsafe { libc::malloc_trim(0) };
    Ok(())
}

/// # Errors
///
/// Always: malloc on other platforms returns memory as it sees fit.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn return_pages() -> Result<()> {
    Err(Error::string(
        "this platform's malloc does not return memory on demand",
    ))
}

/// glibc flushes a thread's cache only when the thread ends.
#[cfg(all(feature = "idle", unix))]
pub const FLUSH_THREAD_CACHE: Option<fn()> = None;

/// # Errors
///
/// Always: the platform's malloc has no statistics.
pub fn full_stats(_json_format: bool) -> Result<Vec<u8>> {
    Err(Error::string("only jemalloc has statistics"))
}

#[cfg(feature = "metrics")]
pub mod metrics {
    use loco_rs::Result;

    pub const fn describe() {}

    /// # Errors
    ///
    /// Never: there is nothing to read.
    #[allow(clippy::unnecessary_wraps)] // jemalloc's can fail
    pub const fn read() -> Result<()> {
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;
    use crate::Process;

    #[test]
    fn what_is_unused_below_something_in_use_is_returned() {
        let rss = || Process::read().expect("figures").rss;
        // Smaller than what malloc would map individually.
        let mut pieces: Vec<Vec<u8>> = (0..2000).map(|_| vec![1; 64 << 10]).collect();
        let last = pieces.pop();
        drop(pieces);
        let before = rss();

        return_pages().expect("glibc does");

        assert!(before - rss() > 100 << 20, "{} of {before} are left", rss());
        drop(last);
    }
}
