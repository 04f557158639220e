//! Gives back what jemalloc keeps unused, by way of its
//! [mallctl](https://jemalloc.net/jemalloc.3.html#mallctl_namespace): `unsafe`, since that takes
//! its values as pointers without a type.

use std::{ffi::CStr, io, ptr};

use loco_rs::Result;
use tikv_jemalloc_sys::mallctl;

/// `MALLCTL_ARENAS_ALL` of `jemalloc.h`, 4096, stands for all arenas at once.
const PURGE_ALL_ARENAS: &CStr = c"arena.4096.purge";
#[cfg(all(feature = "idle", unix))]
const FLUSH: &CStr = c"thread.tcache.flush";

/// Returns every unused page, dirty and muzzy, of all arenas.
///
/// # Errors
///
/// When jemalloc refuses.
pub fn return_pages() -> Result<()> {
    Ok(call(PURGE_ALL_ARENAS)?)
}

/// Gives what this thread's cache holds back to the arenas.
#[cfg(all(feature = "idle", unix))]
pub const FLUSH_THREAD_CACHE: Option<fn()> = Some(|| {
    // Refused where there is none (`tcache:false`).
    drop(call(FLUSH));
});

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
