use std::future::Future;

use tokio::runtime::Builder;

use crate::{allocator, profile, wiring};

/// How long a thread for blocking work stays idle before it ends, which frees what its cache holds.
#[cfg(feature = "idle")]
const THREAD_KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(1);

/// Runs the application on tokio's multi-thread runtime, as `#[tokio::main]` does, with threads
/// that keep little memory to themselves.
///
/// Without the memory profile this does not compile; the error says what to do.
///
/// # Errors
///
/// If the system cannot start threads, or the application fails.
pub fn block_on<T, E: From<std::io::Error>>(
    application: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    const { profile::assert_built_in() };
    for problem in wiring::problems() {
        eprintln!("warning: {problem}");
    }
    let mut runtime = Builder::new_multi_thread();
    runtime.enable_all().on_thread_start(allocator::bind_thread);
    #[cfg(feature = "idle")]
    runtime.thread_keep_alive(THREAD_KEEP_ALIVE);
    let result = runtime.build()?.block_on(application);
    #[cfg(feature = "traces")]
    crate::traces::flush();
    result
}
