//! Assigns arenas to the runtime's threads. `unsafe`, since
//! [mallctl](https://jemalloc.net/jemalloc.3.html#thread.arena) takes untyped pointers to its
//! values.

use std::{
    ffi::CStr,
    mem, ptr,
    sync::atomic::{AtomicU32, Ordering},
};

use tikv_jemalloc_ctl::arenas;
use tikv_jemalloc_sys::mallctl;

use crate::cores;

const ARENA_OF_THREAD: &CStr = c"thread.arena";
/// As jemalloc calculates, but from all CPUs of the machine that the process may run on.
const ARENAS_PER_CPU: u32 = 4;

/// Binds this thread to one of four arenas for each CPU that the process may use, taking into
/// account a container's quota. jemalloc ignores quotas, and on a large machine spreads unused
/// memory over hundreds of arenas.
pub fn bind_thread() {
    let max_arenas = u32::try_from(cores())
        .unwrap_or(u32::MAX)
        .saturating_mul(ARENAS_PER_CPU);
    if arenas::narenas::read().is_ok_and(|arenas| arenas > max_arenas) {
        bind_round_robin(max_arenas);
    }
}

fn bind_round_robin(arenas: u32) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut arena = NEXT.fetch_add(1, Ordering::Relaxed) % arenas;
    // SAFETY: the name ends with a null byte; the value is an `unsigned`, which jemalloc only
    // reads. If `percpu_arena` has bound the thread, jemalloc refuses, which is just as good.
    unsafe {
        mallctl(
            ARENA_OF_THREAD.as_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
            (&raw mut arena).cast(),
            mem::size_of::<u32>(),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn arena_of_thread() -> u32 {
        let mut arena = 0_u32;
        let mut size = mem::size_of::<u32>();
        // SAFETY: the value is an `unsigned`, and `arena` has room for it.
        let code = unsafe {
            mallctl(
                ARENA_OF_THREAD.as_ptr(),
                (&raw mut arena).cast(),
                &raw mut size,
                ptr::null_mut(),
                0,
            )
        };
        assert_eq!(code, 0);
        arena
    }

    #[test]
    fn threads_share_a_few_arenas() {
        let threads = (0..6).map(|_| {
            thread::spawn(|| {
                bind_round_robin(2);
                arena_of_thread()
            })
        });
        let arenas: Vec<u32> = threads
            .map(|thread| thread.join().expect("no panic"))
            .collect();

        assert!(arenas.iter().all(|arena| *arena < 2), "{arenas:?}");
        assert!(arenas.contains(&0) && arenas.contains(&1), "{arenas:?}");
    }
}
