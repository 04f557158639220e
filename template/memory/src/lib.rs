//! How a Loco service manages its memory: an allocator with a profile, admission control, metrics,
//! heap profiles, and a listener for operators. `docs/memory.md` of the service describes it for
//! those on call.
//!
//! An application uses this crate with these lines:
//!
//! | file | line | for |
//! |---|---|---|
//! | `src/bin/main.rs` | `static ALLOCATOR: memory::Allocator = memory::Allocator;` | the allocator |
//! | `src/bin/main.rs` | `memory::block_on(cli::main::<App, Migrator>())` | the runtime |
//! | `src/app.rs`, `initializers` | `Box::new(memory::MemoryInitializer)` | startup and `cargo loco doctor` |
//! | `src/app.rs`, `register_tasks` | `tasks.register(memory::MemoryTask);` | `cargo loco task memory` |
//! | `src/app.rs`, `serve` | `memory::serve::<Self>(app, ctx, params).await` | connections, admission control, shutdown |
//!
//! Two more are worth adding: [`SharedHandlers`] as the first of `middlewares` in `src/app.rs`, without
//! which a request takes several times the memory, and [`job`] around what a background worker performs,
//! so that its memory is measured.
//!
//! The features of this crate select what is built in, `[env]` in `.cargo/config.toml` holds the
//! profile, and [`Settings`] apply at run time. `cargo loco doctor`, `cargo loco task memory` and
//! the log at start report a change that is only half done.

mod admission;
mod black_box;
mod cgroup;
mod compute;
mod explain;
mod guard;
#[cfg(all(feature = "idle", unix))]
mod idle;
mod initializer;
mod job;
mod listener;
#[cfg(feature = "metrics")]
mod metrics;
mod process;
mod profile;
mod purge;
mod runtime;
mod serve;
mod server;
pub mod settings;
mod shared;
mod signals;
mod task;
#[cfg(test)]
mod tests;
#[cfg(feature = "traces")]
mod traces;
mod usage;
mod wiring;

// The only place that asks whether there is jemalloc: both modules have the same items.
#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
#[path = "jemalloc/mod.rs"]
mod allocator;
#[cfg(not(all(feature = "jemalloc", not(target_env = "msvc"))))]
#[path = "system.rs"]
mod allocator;

pub use allocator::{Allocator, Report};
pub use compute::compute;
pub use initializer::MemoryInitializer;
pub use job::job;
pub use process::Process;
pub use runtime::block_on;
pub use serve::{serve, serve_until};
pub use settings::Settings;
pub use shared::SharedHandlers;
pub use task::MemoryTask;
#[cfg(feature = "traces")]
pub use traces::{trace_jobs, trace_layer, trace_request};
// Saves the application's `serve` an import from Loco.
pub use loco_rs::boot::ServeParams;

/// Cores that the process may use, taking into account a container's quota.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Formats bytes for people, as mebibytes with one decimal.
#[allow(clippy::cast_precision_loss)] // a decimal is plenty
fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
