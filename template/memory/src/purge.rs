//! Returns unused memory on demand, and reports how much.

use std::time::Instant;

use loco_rs::prelude::*;
use serde::Serialize;

use crate::{allocator::return_pages, Process};

/// What a purge has returned to the system.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Purged {
    /// By how much resident memory has shrunk. `None` if the system does not report it.
    pub returned_bytes: Option<u64>,
    pub rss_before_bytes: Option<u64>,
    pub rss_after_bytes: Option<u64>,
    pub took_ms: u128,
}

/// Returns every unused page. Blocks for as long as the system takes, so do not call it from async
/// code.
///
/// # Errors
///
/// If the allocator refuses, or cannot return memory on demand.
pub fn purge() -> Result<Purged> {
    let rss = || Process::read().ok().map(|process| process.rss);
    let before = rss();
    let start = Instant::now();
    return_pages()?;
    let took_ms = start.elapsed().as_millis();
    let after = rss();
    Ok(Purged {
        returned_bytes: before
            .zip(after)
            .map(|(before, after)| before.saturating_sub(after)),
        rss_before_bytes: before,
        rss_after_bytes: after,
        took_ms,
    })
}
