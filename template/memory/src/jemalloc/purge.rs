//! Returns jemalloc's unused memory by
//! [mallctl](https://jemalloc.net/jemalloc.3.html#mallctl_namespace). `unsafe`, since that takes
//! untyped pointers to its values.

use std::{ffi::CStr, io, ptr};

use loco_rs::Result;
use tikv_jemalloc_sys::mallctl;

/// 4096 is `MALLCTL_ARENAS_ALL` of `jemalloc.h`, which stands for all arenas.
const PURGE_ALL_ARENAS: &CStr = c"arena.4096.purge";
#[cfg(all(feature = "idle", unix))]
const FLUSH: &CStr = c"thread.tcache.flush";

/// Returns every unused page, dirty or muzzy, of all arenas.
///
/// # Errors
///
/// If jemalloc refuses.
pub fn return_pages() -> Result<()> {
    Ok(call(PURGE_ALL_ARENAS)?)
}

/// Flushes this thread's cache to the arenas.
#[cfg(all(feature = "idle", unix))]
pub const FLUSH_THREAD_CACHE: Option<fn()> = Some(|| {
    // Fails if there is no cache (`tcache:false`).
    drop(call(FLUSH));
});

/// Calls a name that neither reads nor writes a value.
fn call(name: &CStr) -> io::Result<()> {
    // SAFETY: the name ends with a null byte, and without a value all pointers may be null.
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
