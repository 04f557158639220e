//! Tests this crate in a small Loco application.

mod admission;
mod application;
mod black_box;
mod http;
mod listener;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(all(feature = "heap-profiling", not(target_env = "msvc")))]
mod profiling;
mod report;
mod serve;
mod streams;

#[global_allocator]
static ALLOCATOR: crate::Allocator = crate::Allocator;
