//! The platform's own allocator. It exposes no statistics.

use std::fmt;

use axum::Router;
use loco_rs::prelude::*;

use crate::profile;

pub use std::alloc::System as Allocator;

/// Whether unused pages can be returned on demand.
pub const CAN_PURGE: bool = false;

/// The platform's malloc shares its arenas out by itself.
pub const fn bind_thread() {}

/// Bytes that this thread has allocated less those that it has freed: nobody counts them.
pub const fn held_by_thread() -> i64 {
    0
}

/// There is nothing to be done to it.
pub fn routes() -> Router {
    Router::new()
}

/// That the platform's allocator is in use.
#[derive(Debug)]
pub struct Report;

impl Report {
    /// # Errors
    ///
    /// None: there is nothing to read.
    pub const fn read() -> Result<Self> {
        Ok(Self)
    }

    /// What of the profile is not in effect and why, a sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        profile::problems()
    }

    /// Logs the allocator in one line.
    pub fn log(&self) {
        tracing::info!(allocator = "system", "memory");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "allocator   system: the platform's malloc")
    }
}

/// What a purge has returned to the system.
#[derive(Debug, Clone, Copy)]
pub struct Purged {
    /// How much less is resident than before. `None` where the system does not tell.
    pub returned_bytes: Option<u64>,
}

/// # Errors
///
/// Always: the platform's malloc returns memory as it sees fit.
pub fn purge() -> Result<Purged> {
    Err(Error::string("only jemalloc returns memory on demand"))
}

/// # Errors
///
/// Always: the platform's malloc counts nothing.
pub fn full_stats(_json_format: bool) -> Result<Vec<u8>> {
    Err(Error::string("only jemalloc counts what it holds"))
}

#[cfg(feature = "idle")]
pub const fn watch() {}

#[cfg(feature = "metrics")]
pub mod metrics {
    use loco_rs::Result;

    pub const fn describe() {}

    /// # Errors
    ///
    /// None: there is nothing to read.
    #[allow(clippy::unnecessary_wraps)] // jemalloc's can fail
    pub const fn read() -> Result<()> {
        Ok(())
    }
}
