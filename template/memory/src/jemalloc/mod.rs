//! jemalloc as it runs in this process: whether its options are those that the service was built
//! with, its statistics, and what operators can do to it.

mod actions;
mod arenas;
mod decay;
#[cfg(feature = "heap-profiling")]
mod heap_profile;
#[cfg(feature = "metrics")]
pub mod metrics;
mod options;
#[cfg(feature = "metrics")]
mod peak;
#[cfg(feature = "heap-profiling")]
mod pprof;
#[cfg(feature = "heap-profiling")]
mod profiling;
mod purge;
mod stats;

use std::{cell::Cell, collections::BTreeMap, fmt, hint};

use axum::Router;
use loco_rs::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use tikv_jemalloc_ctl::{
    stats_print::{stats_print, Options},
    thread::{self, ThreadLocal},
};

use self::{options::Setting, stats::Stats};
#[cfg(not(feature = "heap-profiling"))]
use crate::black_box::HeapDump;
use crate::{black_box::BlackBox, process::transparent_huge_pages, profile, usage::ThreadUsage};

#[cfg(feature = "metrics")]
pub use self::peak::{reset_thread_peak, thread_peak};
#[cfg(feature = "heap-profiling")]
pub use self::profiling::dump_heap_profile;
#[cfg(all(feature = "idle", unix))]
pub use self::purge::FLUSH_THREAD_CACHE;
pub use self::{
    actions::full_stats,
    arenas::bind_thread,
    purge::return_pages,
    stats::{live, unused},
};
pub use tikv_jemallocator::Jemalloc as Allocator;

/// Whether unused pages can be returned on demand.
pub const CAN_PURGE: bool = true;

/// Bytes that this thread has allocated and freed since its start.
pub fn thread_usage() -> ThreadUsage {
    type Counters = (ThreadLocal<u64>, ThreadLocal<u64>);
    thread_local! {
        static COUNTERS: Cell<Option<Counters>> = const { Cell::new(None) };
    }
    let counters = COUNTERS.get().or_else(|| {
        let counters = (
            thread::allocatedp::read().ok()?,
            thread::deallocatedp::read().ok()?,
        );
        COUNTERS.set(Some(counters));
        Some(counters)
    });
    counters.map_or_else(ThreadUsage::default, |(allocated, freed)| ThreadUsage {
        allocated: allocated.get(),
        freed: freed.get(),
    })
}

/// What can be done to jemalloc through the memory listener.
pub fn routes(black_box: Option<&BlackBox>) -> Router {
    let routes = actions::routes();
    #[cfg(feature = "heap-profiling")]
    let routes = routes.merge(profiling::routes(black_box));
    #[cfg(not(feature = "heap-profiling"))]
    let _ = black_box;
    routes
}

/// Takes no heap profile: that requires the feature `heap-profiling`.
///
/// # Errors
///
/// Never.
#[cfg(not(feature = "heap-profiling"))]
#[allow(clippy::unnecessary_wraps)] // with the feature, it can fail
pub const fn dump_heap_profile() -> Result<Option<HeapDump>> {
    Ok(None)
}

/// jemalloc's version, options and statistics, as of one moment.
#[derive(Debug)]
pub struct Report {
    version: String,
    settings: Vec<Setting>,
    stats: Stats,
    is_global_allocator: bool,
}

/// The parts that are read from the JSON of `malloc_stats_print`.
#[derive(Deserialize)]
struct Printed {
    jemalloc: PrintedJemalloc,
}

#[derive(Deserialize)]
struct PrintedJemalloc {
    version: String,
    config: PrintedConfig,
    opt: BTreeMap<String, Value>,
    #[serde(flatten)]
    figures: stats::Printed,
}

#[derive(Deserialize)]
struct PrintedConfig {
    malloc_conf: String,
}

impl Report {
    /// Reads jemalloc's options and statistics.
    ///
    /// # Errors
    ///
    /// If jemalloc's output cannot be read.
    pub fn read() -> Result<Self> {
        let mut options = Options::default();
        options.json_format = true;
        options.skip_per_arena = true;
        options.skip_bin_size_classes = true;
        options.skip_large_size_classes = true;
        options.skip_mutex_statistics = true;

        let mut json = Vec::new();
        stats_print(&mut json, options)?;
        let Printed { jemalloc } = serde_json::from_slice(&json)?;

        let profile = options::profile_options();
        Ok(Self {
            settings: options::settings(&profile, &jemalloc.config.malloc_conf, &jemalloc.opt),
            stats: Stats::from(&jemalloc.figures),
            version: jemalloc.version,
            is_global_allocator: is_global_allocator()?,
        })
    }

    /// The parts of the profile that are not in effect, and why: one sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = profile::problems();
        if !self.is_global_allocator {
            problems.push(
                "Rust does not allocate from jemalloc: #[global_allocator] is missing in \
                 src/bin/main.rs"
                    .to_string(),
            );
        }
        problems.extend(self.settings.iter().filter_map(Setting::problem));
        let is_enabled = self.settings.iter().any(Setting::enables_background_thread);
        if is_enabled && self.stats.background_threads == 0 {
            problems.push(
                "background_thread is true, but no background thread is running: unused memory \
                 stays while the service is idle"
                    .to_string(),
            );
        }
        problems
    }

    /// Logs the allocator, its profile, and the options in effect in one line.
    pub fn log(&self) {
        tracing::info!(
            allocator = "jemalloc",
            version = self.short_version(),
            profile = profile::NAME,
            options = self.options(),
            overridden = self.overridden(),
            huge_pages = transparent_huge_pages(),
            "memory"
        );
    }

    /// The version without its commit: `5.3.1` for `5.3.1-0-g81034ce1…`.
    fn short_version(&self) -> &str {
        self.version
            .split_once('-')
            .map_or(self.version.as_str(), |(short_version, _)| short_version)
    }

    /// The options in effect as jemalloc writes them: `name:value,name:value`.
    fn options(&self) -> String {
        let in_effect: Vec<String> = self
            .settings
            .iter()
            .filter_map(Setting::in_effect)
            .collect();
        in_effect.join(",")
    }

    /// The options set by a source other than the profile, with that source.
    fn overridden(&self) -> Option<String> {
        let overridden: Vec<String> = self
            .settings
            .iter()
            .filter_map(Setting::overridden)
            .collect();
        (!overridden.is_empty()).then(|| overridden.join(", "))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "allocator   jemalloc {}", self.version)?;
        writeln!(f, "profile     {}", profile::NAME.unwrap_or("none"))?;
        writeln!(f)?;
        writeln!(f, "{:<28}{:<16}set by", "option", "in effect")?;
        for setting in &self.settings {
            writeln!(f, "{setting}")?;
        }
        writeln!(f)?;
        write!(f, "{}", self.stats)
    }
}

/// Whether Rust allocates from jemalloc, which it does if jemalloc counts an allocation.
fn is_global_allocator() -> Result<bool> {
    const SIZE: usize = 1 << 20;
    let allocated = thread::allocatedp::read().map_err(Error::msg)?;
    let before = allocated.get();
    drop(hint::black_box(Vec::<u8>::with_capacity(SIZE)));
    Ok(allocated.get() - before >= SIZE as u64)
}
