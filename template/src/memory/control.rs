//! What can be done to jemalloc while it runs, by way of its
//! [mallctl](https://jemalloc.net/jemalloc.3.html#mallctl_namespace). The service's only `unsafe`
//! code: mallctl takes its values as pointers without a type.

use std::{ffi::CStr, io, ptr, time::Instant};

use loco_rs::prelude::*;
use serde::{Deserialize, Serialize};
use tikv_jemalloc_ctl::{arenas, epoch, raw};
use tikv_jemalloc_sys::mallctl;

use super::Process;

/// `MALLCTL_ARENAS_ALL` of `jemalloc.h`, 4096, stands for all arenas at once.
const PURGE_ALL_ARENAS: &CStr = c"arena.4096.purge";

/// What a purge has returned to the system.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Purged {
    /// How much less is resident than before. `None` where the system does not tell.
    pub returned_bytes: Option<u64>,
    pub rss_before_bytes: Option<u64>,
    pub rss_after_bytes: Option<u64>,
    pub took_ms: u128,
}

/// How long unused pages are kept, in milliseconds; 0: not at all, -1: for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Decay {
    pub dirty_decay_ms: isize,
    pub muzzy_decay_ms: isize,
}

/// What of [`Decay`] is to change.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDecay {
    dirty_decay_ms: Option<isize>,
    muzzy_decay_ms: Option<isize>,
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
    // SAFETY: `arena.<i>.purge` neither reads nor writes a value, so that all pointers are null;
    // the name ends with a null byte.
    let code = unsafe {
        mallctl(
            PURGE_ALL_ARENAS.as_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            0,
        )
    };
    if code != 0 {
        return Err(io::Error::from_raw_os_error(code).into());
    }
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

impl Decay {
    /// Asks jemalloc how long unused pages are kept.
    ///
    /// # Errors
    ///
    /// When jemalloc refuses.
    pub fn read() -> Result<Self> {
        Ok(Self {
            dirty_decay_ms: read("arenas.dirty_decay_ms")?,
            muzzy_decay_ms: read("arenas.muzzy_decay_ms")?,
        })
    }
}

impl NewDecay {
    /// Sets the times for all arenas, those to come too, until the process ends.
    ///
    /// # Errors
    ///
    /// A [`Error::BadRequest`] where nothing is to change, or a time is out of range; another where
    /// jemalloc refuses.
    pub fn apply(self) -> Result<Decay> {
        let times = [
            ("dirty_decay_ms", self.dirty_decay_ms),
            ("muzzy_decay_ms", self.muzzy_decay_ms),
        ];
        if times.iter().all(|(_, time)| time.is_none()) {
            return bad_request("neither dirty_decay_ms nor muzzy_decay_ms is given");
        }
        for (name, time) in times {
            if time.is_some_and(|time| time < -1) {
                return bad_request(format!(
                    "{name} is less than -1, which stands for ever; it counts milliseconds"
                ));
            }
        }
        for (name, time) in times {
            let Some(time) = time else { continue };
            // Of the times above -1, jemalloc refuses those that its clock cannot count.
            if write(&format!("arenas.{name}"), time).is_err() {
                return bad_request(format!("{name} is too large"));
            }
            // jemalloc knows which arenas are in use as of the last epoch.
            epoch::advance().map_err(Error::msg)?;
            for arena in 0..arenas::narenas::read().map_err(Error::msg)? {
                if is_in_use(arena)? {
                    write(&format!("arena.{arena}.{name}"), time)?;
                }
            }
        }
        Decay::read()
    }
}

fn is_in_use(arena: u32) -> Result<bool> {
    let name = format!("arena.{arena}.initialized\0");
    // SAFETY: the manual gives `bool` for this name.
    unsafe { raw::read(name.as_bytes()) }.map_err(Error::msg)
}

/// Reads a value for which the manual gives the type `ssize_t`: the names above have no other.
fn read(name: &str) -> Result<isize> {
    // SAFETY: `isize` is `ssize_t`.
    unsafe { raw::read(format!("{name}\0").as_bytes()) }.map_err(Error::msg)
}

/// Writes a value for which the manual gives the type `ssize_t`: the names above have no other.
fn write(name: &str, value: isize) -> Result<()> {
    // SAFETY: `isize` is `ssize_t`.
    unsafe { raw::write(format!("{name}\0").as_bytes(), value) }.map_err(Error::msg)
}
