//! The most memory that a thread has held. `unsafe`, since
//! [mallctl](https://jemalloc.net/jemalloc.3.html#thread.peak.read) takes untyped pointers to its
//! values.

use std::{ffi::CStr, mem, ptr, sync::OnceLock};

use tikv_jemalloc_sys::{mallctlbymib, mallctlnametomib};

/// The numbers that stand for a name.
type Mib = [usize; 3];

/// The most bytes that this thread has held at once since [`reset_thread_peak`], beyond what it held
/// then.
pub fn thread_peak() -> i64 {
    static MIB: OnceLock<Option<Mib>> = OnceLock::new();
    let Some(mib) = MIB.get_or_init(|| mib(c"thread.peak.read")) else {
        return 0;
    };
    let mut peak = 0_u64;
    let mut size = mem::size_of::<u64>();
    // SAFETY: the MIB is jemalloc's; the value is a `uint64_t`, and `peak` has room for it.
    unsafe {
        mallctlbymib(
            mib.as_ptr(),
            mib.len(),
            (&raw mut peak).cast(),
            &raw mut size,
            ptr::null_mut(),
            0,
        );
    }
    i64::try_from(peak).unwrap_or(i64::MAX)
}

/// Starts [`thread_peak`] anew.
pub fn reset_thread_peak() {
    static MIB: OnceLock<Option<Mib>> = OnceLock::new();
    let Some(mib) = MIB.get_or_init(|| mib(c"thread.peak.reset")) else {
        return;
    };
    // SAFETY: the MIB is jemalloc's, and there is no value.
    unsafe {
        mallctlbymib(
            mib.as_ptr(),
            mib.len(),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            0,
        );
    }
}

fn mib(name: &CStr) -> Option<Mib> {
    let mut mib = Mib::default();
    let mut length = mib.len();
    // SAFETY: the name ends with a null byte, and `mib` has room for `length` numbers.
    let code = unsafe { mallctlnametomib(name.as_ptr(), mib.as_mut_ptr(), &raw mut length) };
    (code == 0 && length == mib.len()).then_some(mib)
}
