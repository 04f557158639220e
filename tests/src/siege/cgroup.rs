//! A memory cgroup of one's own: the kernel's OOM killer is the judge. It takes root.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// Version 2, or the older one, as the machine has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// A cgroup with a memory limit, which ends with this.
#[derive(Debug)]
pub struct Cgroup {
    directory: PathBuf,
    version: Version,
}

/// The version of the machine's memory cgroups, and where they are.
fn hierarchy() -> (&'static Path, Version) {
    let one = Path::new("/sys/fs/cgroup/memory");
    if one.join("memory.limit_in_bytes").exists() {
        (one, Version::One)
    } else {
        (Path::new("/sys/fs/cgroup"), Version::Two)
    }
}

/// 1 or 2.
#[must_use]
pub fn version() -> u8 {
    match hierarchy().1 {
        Version::One => 1,
        Version::Two => 2,
    }
}

impl Cgroup {
    /// # Errors
    ///
    /// When the machine has no memory cgroups, or this user may not make one.
    pub fn new(name: &str, limit: u64) -> Result<Self> {
        let (root, version) = hierarchy();
        if version == Version::Two {
            // What is not delegated yet, or is.
            drop(fs::write(root.join("cgroup.subtree_control"), "+memory"));
        }
        let directory = root.join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let cgroup = Self { directory, version };
        let limit = limit.to_string();
        match version {
            Version::One => {
                cgroup.write("memory.limit_in_bytes", &limit)?;
                // There is none without swap.
                drop(cgroup.write("memory.memsw.limit_in_bytes", &limit));
            }
            Version::Two => {
                cgroup.write("memory.max", &limit)?;
                drop(cgroup.write("memory.swap.max", "0"));
            }
        }
        Ok(cgroup)
    }

    /// The file to which a process writes its number to enter.
    #[must_use]
    pub fn processes(&self) -> PathBuf {
        self.directory.join("cgroup.procs")
    }

    /// Bytes in use at the most, file pages included.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn peak(&self) -> Result<u64> {
        let file = match self.version {
            Version::One => "memory.max_usage_in_bytes",
            Version::Two => "memory.peak",
        };
        Ok(self.read(file)?.trim().parse()?)
    }

    /// Processes that were killed for lack of memory.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn kills(&self) -> Result<u64> {
        let file = match self.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        let events = self.read(file)?;
        let kills = events
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill "));
        Ok(kills.context("no oom_kill")?.trim().parse()?)
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = self.directory.join(file);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    fn write(&self, file: &str, value: &str) -> Result<()> {
        let path = self.directory.join(file);
        fs::write(&path, value).with_context(|| path.display().to_string())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.directory));
    }
}

/// Mebibytes in the buffers of all TCP sockets of the machine, 0 where the system does not tell.
#[must_use]
pub fn sockets_mib() -> f64 {
    // `TCP: inuse 5 orphan 0 tw 0 alloc 8 mem 2`, in pages
    let pages = || {
        let sockets = fs::read_to_string("/proc/net/sockstat").ok()?;
        let tcp = sockets.lines().find_map(|line| line.strip_prefix("TCP:"))?;
        tcp.rsplit(' ').next()?.parse::<f64>().ok()
    };
    pages().unwrap_or(0.0) * 4096.0 / f64::from(1 << 20)
}
