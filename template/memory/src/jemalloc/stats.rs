use std::fmt;

use loco_rs::{Error, Result};
use serde::Deserialize;
use tikv_jemalloc_ctl::{epoch, raw};

use crate::mebibytes;

/// jemalloc's statistics, in bytes unless stated otherwise. Except for `live` and `tcache`, each is the
/// `stats.*` of the same name in
/// [jemalloc's manual](https://jemalloc.net/jemalloc.3.html#stats.allocated).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// What the service has allocated and not freed: `allocated` without `tcache`, and without what jemalloc
    /// has allocated for itself (`stats.arenas.<i>.internal`), such as the caches' own tables.
    pub live: u64,
    /// Freed memory in the threads' caches, which jemalloc counts as allocated
    /// (`stats.arenas.<i>.tcache_bytes`).
    pub tcache: u64,
    pub allocated: u64,
    /// Pages that hold at least one allocation.
    pub active: u64,
    /// Unused pages kept for reuse, until `dirty_decay_ms` has passed.
    pub dirty: u64,
    /// Unused pages that the kernel may take (`MADV_FREE`), until `muzzy_decay_ms` has passed.
    pub muzzy: u64,
    /// jemalloc's own bookkeeping.
    pub metadata: u64,
    /// Physical memory that jemalloc holds: active, metadata and unused dirty pages.
    pub resident: u64,
    /// Address space of active extents.
    pub mapped: u64,
    /// Address space kept for later, without physical memory behind it.
    pub retained: u64,
    /// How many arenas there may be.
    pub arenas: u64,
    /// How many background threads are running.
    pub background_threads: u64,
    /// How often background threads have run in total.
    pub background_thread_runs: u64,
}

/// The statistics as `malloc_stats_print` prints them.
#[derive(Deserialize)]
pub struct Printed {
    arenas: PrintedArenas,
    stats: PrintedStats,
    #[serde(rename = "stats.arenas")]
    stats_arenas: PrintedStatsArenas,
}

#[derive(Deserialize)]
struct PrintedArenas {
    narenas: u64,
    page: u64,
}

#[derive(Deserialize)]
struct PrintedStats {
    allocated: u64,
    active: u64,
    metadata: u64,
    resident: u64,
    mapped: u64,
    retained: u64,
    background_thread: PrintedBackgroundThread,
}

#[derive(Deserialize)]
struct PrintedBackgroundThread {
    num_threads: u64,
    num_runs: u64,
}

#[derive(Deserialize)]
struct PrintedStatsArenas {
    merged: PrintedMerged,
}

/// All arenas together.
#[derive(Deserialize)]
struct PrintedMerged {
    tcache_bytes: u64,
    internal: u64,
    /// In pages.
    pdirty: u64,
    /// In pages.
    pmuzzy: u64,
}

impl From<&Printed> for Stats {
    fn from(printed: &Printed) -> Self {
        let Printed {
            arenas,
            stats,
            stats_arenas: PrintedStatsArenas { merged },
        } = printed;
        Self {
            // They are not read at the same instant.
            live: stats
                .allocated
                .saturating_sub(merged.tcache_bytes + merged.internal),
            tcache: merged.tcache_bytes,
            allocated: stats.allocated,
            active: stats.active,
            dirty: merged.pdirty * arenas.page,
            muzzy: merged.pmuzzy * arenas.page,
            metadata: stats.metadata,
            resident: stats.resident,
            mapped: stats.mapped,
            retained: stats.retained,
            arenas: arenas.narenas,
            background_threads: stats.background_thread.num_threads,
            background_thread_runs: stats.background_thread.num_runs,
        }
    }
}

/// Bytes that the service has allocated and not freed.
///
/// # Errors
///
/// If jemalloc does not report it.
pub fn live() -> Result<u64> {
    epoch::advance().map_err(Error::msg)?;
    let allocated = size(b"stats.allocated\0")?;
    let cached = size(b"stats.arenas.4096.tcache_bytes\0")?;
    let internal = size(b"stats.arenas.4096.internal\0")?;
    Ok(allocated.saturating_sub(cached + internal))
}

/// Bytes of unused pages, which a purge returns.
///
/// # Errors
///
/// If jemalloc does not report it.
pub fn unused() -> Result<Option<u64>> {
    epoch::advance().map_err(Error::msg)?;
    let pages = size(b"stats.arenas.4096.pdirty\0")? + size(b"stats.arenas.4096.pmuzzy\0")?;
    Ok(Some(pages * size(b"arenas.page\0")?))
}

/// A size that jemalloc reports. 4096 is `MALLCTL_ARENAS_ALL` of `jemalloc.h`: all arenas together.
fn size(name: &[u8]) -> Result<u64> {
    // SAFETY: the names end with a null byte, and their values are of the type `size_t`.
    let value: usize = unsafe { raw::read(name) }.map_err(Error::msg)?;
    Ok(value as u64)
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, bytes) in [
            ("live", self.live),
            ("tcache", self.tcache),
            ("allocated", self.allocated),
            ("active", self.active),
            ("dirty", self.dirty),
            ("muzzy", self.muzzy),
            ("metadata", self.metadata),
            ("resident", self.resident),
            ("mapped", self.mapped),
            ("retained", self.retained),
        ] {
            writeln!(f, "{name:<12}{:>12}", mebibytes(bytes))?;
        }
        writeln!(
            f,
            "arenas      {:>8}\nbackground threads: {}, which have run {} times",
            self.arenas, self.background_threads, self.background_thread_runs
        )
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{mpsc, Barrier},
        thread,
    };

    use serial_test::serial;

    use crate::Report;

    const THREADS: usize = 64;
    /// Sizes of jemalloc's classes, up to the largest that threads cache by default.
    const SIZES: [usize; 5] = [64, 512, 4096, 14336, 32768];
    /// How many of each size a thread allocates.
    const COUNT: usize = 20;

    fn allocate() -> Vec<Vec<u8>> {
        let sizes = SIZES.iter().flat_map(|size| [*size; COUNT]);
        sizes.map(|size| vec![1; size]).collect()
    }

    #[test]
    #[serial]
    fn live_memory_does_not_include_what_the_threads_have_cached() {
        let before = Report::read().expect("a report").stats;
        let read = Barrier::new(THREADS + 1);
        let (sender, allocated) = mpsc::channel();

        let stats = thread::scope(|scope| {
            for _ in 0..THREADS {
                let (sender, read) = (sender.clone(), &read);
                scope.spawn(move || {
                    let held = allocate();
                    drop(allocate());
                    sender.send(held).expect("the test waits");
                    read.wait();
                });
            }
            drop(sender);
            let held: Vec<_> = allocated.iter().take(THREADS).collect();
            let stats = Report::read().expect("a report").stats;
            read.wait();
            drop(held);
            stats
        });

        let held = (THREADS * COUNT * SIZES.iter().sum::<usize>()) as u64;
        let grown = stats.live - before.live;
        assert!(grown.abs_diff(held) < held / 20, "{grown} of {held}");
        let cached = stats.tcache - before.tcache;
        assert!(cached > held / 10, "the caches are empty: {cached}");
    }
}
