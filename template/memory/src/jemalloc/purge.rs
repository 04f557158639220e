//! Gives back what jemalloc keeps unused, by way of its
//! [mallctl](https://jemalloc.net/jemalloc.3.html#mallctl_namespace): `unsafe`, since that takes
//! its values as pointers without a type.

use std::{ffi::CStr, io, ptr, time::Instant};

use loco_rs::prelude::*;
use serde::Serialize;
use tikv_jemalloc_sys::mallctl;

use crate::Process;

/// `MALLCTL_ARENAS_ALL` of `jemalloc.h`, 4096, stands for all arenas at once.
const PURGE_ALL_ARENAS: &CStr = c"arena.4096.purge";
#[cfg(feature = "idle")]
const FLUSH_THREAD_CACHE: &CStr = c"thread.tcache.flush";

/// What a purge has returned to the system.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Purged {
    /// How much less is resident than before. `None` where the system does not tell.
    pub returned_bytes: Option<u64>,
    pub rss_before_bytes: Option<u64>,
    pub rss_after_bytes: Option<u64>,
    pub took_ms: u128,
}

/// Returns every unused page, dirty and muzzy, of all arenas. It takes as long as the system takes
/// for the pages: not a thing for an async thread.
///
/// # Errors
///
/// When jemalloc refuses.
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

/// As [`purge`], without figures: they take longer than a small purge.
///
/// # Errors
///
/// When jemalloc refuses.
pub fn return_pages() -> Result<()> {
    Ok(call(PURGE_ALL_ARENAS)?)
}

/// Gives what this thread's cache holds back to the arenas.
#[cfg(feature = "idle")]
pub fn flush_thread_cache() {
    // Refused where there is none (`tcache:false`).
    drop(call(FLUSH_THREAD_CACHE));
}

/// Calls a name that neither takes nor gives a value.
fn call(name: &CStr) -> io::Result<()> {
    // SAFETY: there is no value, so that all pointers are null; the name ends with a null byte.
    let code = unsafe {
        mallctl(
            name.as_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            0,
        )
    };
    if code == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(code))
    }
}
