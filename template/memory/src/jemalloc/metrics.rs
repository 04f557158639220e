//! jemalloc's statistics, named as in its manual.

use loco_rs::prelude::*;
use metrics::{counter, describe_counter, describe_gauge, gauge};

use super::Report;
use crate::{metrics::set, profile};

pub fn describe() {
    for (name, help) in [
        (
            "jemalloc_live_bytes",
            "Allocated and not freed, without the threads' caches.",
        ),
        (
            "jemalloc_tcache_bytes",
            "Freed memory in the threads' caches.",
        ),
        (
            "jemalloc_allocated_bytes",
            "Live memory and the threads' caches.",
        ),
        (
            "jemalloc_active_bytes",
            "Pages that hold at least one allocation.",
        ),
        (
            "jemalloc_dirty_bytes",
            "Unused pages kept for reuse until dirty_decay_ms has passed.",
        ),
        (
            "jemalloc_muzzy_bytes",
            "Unused pages that the kernel may take, until muzzy_decay_ms has passed.",
        ),
        (
            "jemalloc_metadata_bytes",
            "The allocator's own bookkeeping.",
        ),
        (
            "jemalloc_resident_bytes",
            "Physical memory of the allocator: active, dirty and metadata.",
        ),
        ("jemalloc_mapped_bytes", "Address space of active extents."),
        (
            "jemalloc_retained_bytes",
            "Address space without physical memory, kept for later.",
        ),
        ("jemalloc_arenas", "The maximum number of arenas."),
        ("jemalloc_background_threads", "Background threads."),
        (
            "jemalloc_info",
            "Version, memory profile and options in effect at start.",
        ),
    ] {
        describe_gauge!(name, help);
    }
    describe_counter!(
        "jemalloc_background_thread_runs_total",
        "Runs of background threads."
    );
}

pub fn read() -> Result<()> {
    let report = Report::read()?;
    let stats = &report.stats;
    for (name, value) in [
        ("jemalloc_live_bytes", stats.live),
        ("jemalloc_tcache_bytes", stats.tcache),
        ("jemalloc_allocated_bytes", stats.allocated),
        ("jemalloc_active_bytes", stats.active),
        ("jemalloc_dirty_bytes", stats.dirty),
        ("jemalloc_muzzy_bytes", stats.muzzy),
        ("jemalloc_metadata_bytes", stats.metadata),
        ("jemalloc_resident_bytes", stats.resident),
        ("jemalloc_mapped_bytes", stats.mapped),
        ("jemalloc_retained_bytes", stats.retained),
        ("jemalloc_arenas", stats.arenas),
        ("jemalloc_background_threads", stats.background_threads),
    ] {
        set(name, value);
    }
    counter!("jemalloc_background_thread_runs_total").absolute(stats.background_thread_runs);
    gauge!(
        "jemalloc_info",
        "version" => report.short_version().to_string(),
        "profile" => profile::NAME.unwrap_or_default(),
        "options" => report.options(),
    )
    .set(1.0);
    Ok(())
}
