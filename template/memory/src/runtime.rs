use std::future::Future;

use tokio::runtime::Builder;

use crate::{allocator, profile, wiring};

/// How long a thread for blocking work waits for more: what its cache holds is returned as it ends.
#[cfg(feature = "idle")]
const THREAD_KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(1);

/// Runs the application on tokio's multi-thread runtime, as `#[tokio::main]` does, with threads that
/// keep little memory of their own.
///
/// A build without the memory profile stops here, at compile time, with what to do.
///
/// # Errors
///
/// When the system gives no threads, or the application's own.
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
    runtime.build()?.block_on(application)
}
