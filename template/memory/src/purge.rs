//! Returns unused memory on demand, and says how much that was.

use std::time::Instant;

use loco_rs::prelude::*;
use serde::Serialize;

use crate::{allocator::return_pages, Process};

/// What a purge has returned to the system.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Purged {
    /// How much less is resident than before. `None` where the system does not tell.
    pub returned_bytes: Option<u64>,
    pub rss_before_bytes: Option<u64>,
    pub rss_after_bytes: Option<u64>,
    pub took_ms: u128,
}

/// Returns every unused page. It takes as long as the system takes for the pages: not a thing for an
/// async thread.
///
/// # Errors
///
/// When the allocator refuses, or cannot return memory on demand.
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
