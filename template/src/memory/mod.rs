{% if memory_profile == "system" -%}
//! Which allocator the service runs on, and how much memory is in use.
//!
//! [`MemoryInitializer`] logs the allocator at start, [`task::Memory`] prints both for `cargo loco
//! task memory`.
{%- else -%}
//! Which allocator the service runs on, whether its memory profile is in effect, and how much
//! memory is in use.
//!
//! [`MemoryInitializer`] says so in one line of the log at start and to `cargo loco doctor`,
//! [`task::Memory`] in full for `cargo loco task memory`.
//!
//! The profile is built in: `.cargo/config.toml` holds it.
{%- if memory_profile == "lean" %} When the service falls idle, `idle.rs`
//! returns what is unused.
{%- endif %}
{%- endif %}
{%- if memory_metrics == "true" or heap_profiling == "true" %}
//!
//! [`OnCallInitializer`] opens the listener for the people on call; `docs/memory.md` is written for them.
{%- endif %}

{% if memory_profile == "system" -%}
mod process;
mod system;
pub mod task;
{%- else -%}
{% if memory_metrics == "true" or heap_profiling == "true" -%}
#[cfg(not(target_env = "msvc"))]
mod actions;
mod admin;
{% endif -%}
{% if memory_metrics == "true" -%}
mod cgroup;
{% endif -%}
{% if memory_metrics == "true" or heap_profiling == "true" -%}
#[cfg(not(target_env = "msvc"))]
mod decay;
{% endif -%}
{% if memory_metrics == "true" -%}
#[cfg(not(target_env = "msvc"))]
mod guard;
{% endif -%}
{% if memory_profile == "lean" -%}
#[cfg(not(target_env = "msvc"))]
mod idle;
{% endif -%}
#[cfg(not(target_env = "msvc"))]
mod initializer;
#[cfg(not(target_env = "msvc"))]
mod jemalloc;
{% if memory_metrics == "true" -%}
mod metrics;
{% endif -%}
{% if memory_metrics == "true" or heap_profiling == "true" -%}
mod on_call;
{% endif -%}
mod process;
{% if heap_profiling == "true" -%}
#[cfg(not(target_env = "msvc"))]
mod profiling;
{% endif -%}
{% if memory_profile == "lean" or memory_metrics == "true" or heap_profiling == "true" -%}
#[cfg(not(target_env = "msvc"))]
mod purge;
{% endif -%}
{% if memory_metrics == "true" or heap_profiling == "true" -%}
mod settings;
{% endif -%}
#[cfg(target_env = "msvc")]
mod system;
pub mod task;
{%- endif %}
{% unless memory_profile == "system" %}
{%- if memory_profile == "lean" %}
#[cfg(not(target_env = "msvc"))]
pub use idle::on_thread_park;
{%- endif %}
#[cfg(not(target_env = "msvc"))]
pub use initializer::MemoryInitializer;
#[cfg(not(target_env = "msvc"))]
pub use jemalloc::Allocator;
{%- endunless %}
{%- if memory_metrics == "true" or heap_profiling == "true" %}
pub use on_call::OnCallInitializer;
{%- endif %}
pub use process::Process;
{%- if memory_metrics == "true" or heap_profiling == "true" %}
pub use settings::Settings;
{%- endif %}
{%- unless memory_profile == "system" %}
#[cfg(target_env = "msvc")]
{%- endunless %}
pub use system::{Allocator, MemoryInitializer};

/// Bytes as a person reads them: mebibytes with one decimal.
#[allow(clippy::cast_precision_loss)] // a decimal is plenty
fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
