use std::future::Future;

use tokio::runtime::Builder;

use crate::{profile, wiring};

/// Runs the application on tokio's multi-thread runtime, as `#[tokio::main]` does. The runtime's
/// threads take part in the watch for an idle service (feature `idle`).
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
    runtime.enable_all();
    #[cfg(feature = "idle")]
    runtime.on_thread_park(crate::allocator::on_thread_park);
    runtime.build()?.block_on(application)
}
