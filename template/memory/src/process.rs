use std::{fmt, fs};

use loco_rs::prelude::*;

use crate::mebibytes;

/// The memory of this process as the operating system counts it, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Resident set size: the pages in physical memory.
    pub rss: u64,
    /// The part of `rss` that the allocator has released with `MADV_FREE` (muzzy pages), and that
    /// the kernel takes as soon as it needs it. Only known on Linux.
    pub lazy_free: Option<u64>,
}

impl Process {
    /// Reads the memory of this process.
    ///
    /// # Errors
    ///
    /// If the operating system does not report it.
    #[cfg(target_os = "linux")]
    pub fn read() -> Result<Self> {
        // `Rss:               38912 kB` and so on: proc_pid_smaps(5)
        let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
        let bytes = |field: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(field))?;
            let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
            Some(kibibytes * 1024)
        };
        Ok(Self {
            rss: bytes("Rss:").ok_or_else(|| Error::string("smaps_rollup has no Rss"))?,
            lazy_free: bytes("LazyFree:"),
        })
    }

    /// Reads the memory of this process.
    ///
    /// # Errors
    ///
    /// If the operating system does not report it.
    #[cfg(not(target_os = "linux"))]
    pub fn read() -> Result<Self> {
        let stats = memory_stats::memory_stats()
            .ok_or_else(|| Error::string("the system does not report this process's memory"))?;
        Ok(Self {
            rss: stats.physical_mem as u64,
            lazy_free: None,
        })
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<12}{:>12}", "rss", mebibytes(self.rss))?;
        if let Some(lazy_free) = self.lazy_free {
            write!(
                f,
                "  of which {} can be taken by the kernel at any time (LazyFree)",
                mebibytes(lazy_free)
            )?;
        }
        if let Some(mode) = transparent_huge_pages() {
            write!(f, "\nhuge pages  {mode}")?;
        }
        Ok(())
    }
}

/// The host's mode of [transparent huge pages](https://docs.kernel.org/admin-guide/mm/transhuge.html),
/// such as `madvise`. Only known on Linux.
pub fn transparent_huge_pages() -> Option<String> {
    // `always [madvise] never`: the mode in effect is in brackets.
    let modes = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").ok()?;
    let (mode, _) = modes.split_once('[')?.1.split_once(']')?;
    Some(mode.to_string())
}
