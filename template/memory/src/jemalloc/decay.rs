//! How long jemalloc keeps unused pages, set by
//! [mallctl](https://jemalloc.net/jemalloc.3.html#mallctl_namespace). `unsafe`, since that takes
//! untyped pointers to its values.

use loco_rs::prelude::*;
use serde::{Deserialize, Serialize};
use tikv_jemalloc_ctl::{arenas, epoch, raw};

/// How long unused pages are kept, in milliseconds. 0: not at all, -1: forever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Decay {
    pub dirty_decay_ms: isize,
    pub muzzy_decay_ms: isize,
}

/// The fields of [`Decay`] to change.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecayUpdate {
    dirty_decay_ms: Option<isize>,
    muzzy_decay_ms: Option<isize>,
}

impl Decay {
    /// Reads the current times from jemalloc.
    ///
    /// # Errors
    ///
    /// If jemalloc refuses.
    pub fn read() -> Result<Self> {
        Ok(Self {
            dirty_decay_ms: read("arenas.dirty_decay_ms")?,
            muzzy_decay_ms: read("arenas.muzzy_decay_ms")?,
        })
    }
}

impl DecayUpdate {
    /// Sets the times for all arenas, including future ones, until the process ends.
    ///
    /// # Errors
    ///
    /// [`Error::BadRequest`] if nothing is to change or a time is out of range, another error if
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
                    "{name} is less than -1, which means forever; the unit is milliseconds"
                ));
            }
        }
        for (name, time) in times {
            let Some(time) = time else { continue };
            // jemalloc rejects times above -1 only if its clock cannot count them.
            if write(&format!("arenas.{name}"), time).is_err() {
                return bad_request(format!("{name} is too large"));
            }
            // jemalloc's list of arenas in use is as of the last epoch.
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
    // SAFETY: according to the manual, this name has the type `bool`.
    unsafe { raw::read(name.as_bytes()) }.map_err(Error::msg)
}

/// Reads a value of type `ssize_t`, which is the type of all names above according to the manual.
fn read(name: &str) -> Result<isize> {
    // SAFETY: `isize` is `ssize_t`.
    unsafe { raw::read(format!("{name}\0").as_bytes()) }.map_err(Error::msg)
}

/// Writes a value of type `ssize_t`, which is the type of all names above according to the manual.
fn write(name: &str, value: isize) -> Result<()> {
    // SAFETY: `isize` is `ssize_t`.
    unsafe { raw::write(format!("{name}\0").as_bytes(), value) }.map_err(Error::msg)
}
