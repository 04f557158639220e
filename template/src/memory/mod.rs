//! Which allocator the service runs on, whether its memory profile is in effect, and how much
//! memory is in use.
//!
//! [`MemoryInitializer`] says so in one line of the log at start and to `cargo loco doctor`,
//! [`task::Memory`] in full for `cargo loco task memory`.
{%- unless memory_profile == "system" %}
//!
//! The profile is built in: `.cargo/config.toml` holds it.
{%- endunless %}

{% if memory_profile == "system" -%}
mod initializer;
mod process;
mod system;
pub mod task;

use system as allocator;
{%- else -%}
mod initializer;
#[cfg(not(target_env = "msvc"))]
mod jemalloc;
mod process;
#[cfg(target_env = "msvc")]
mod system;
pub mod task;

#[cfg(not(target_env = "msvc"))]
use jemalloc as allocator;
#[cfg(target_env = "msvc")]
use system as allocator;
{%- endif %}

pub use initializer::MemoryInitializer;
pub use process::Process;

pub use allocator::Allocator;

/// Bytes as a person reads them: mebibytes with one decimal.
#[allow(clippy::cast_precision_loss)] // a decimal is plenty
fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
