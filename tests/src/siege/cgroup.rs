//! A separate memory cgroup, in which the OOM killer of the kernel decides. Requires root.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// The version of the cgroups on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// A cgroup with a memory limit, removed on drop.
#[derive(Debug)]
pub struct Cgroup {
    directory: PathBuf,
    version: Version,
}

/// The root of the machine's memory cgroups, and their version.
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
    /// If the machine has no memory cgroups, or this user may not create one.
    pub fn new(name: &str, limit: u64) -> Result<Self> {
        let (root, version) = hierarchy();
        if version == Version::Two {
            // Enables the controller, unless it is enabled already.
            drop(fs::write(root.join("cgroup.subtree_control"), "+memory"));
        }
        let directory = root.join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let cgroup = Self { directory, version };
        let limit = limit.to_string();
        match version {
            Version::One => {
                cgroup.write("memory.limit_in_bytes", &limit)?;
                // There is no such file without swap.
                drop(cgroup.write("memory.memsw.limit_in_bytes", &limit));
            }
            Version::Two => {
                cgroup.write("memory.max", &limit)?;
                drop(cgroup.write("memory.swap.max", "0"));
            }
        }
        Ok(cgroup)
    }

    /// The file to which a process writes its PID to join.
    #[must_use]
    pub fn procs_file(&self) -> PathBuf {
        self.directory.join("cgroup.procs")
    }

    /// Peak memory in bytes, including file pages.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn peak(&self) -> Result<u64> {
        let file = match self.version {
            Version::One => "memory.max_usage_in_bytes",
            Version::Two => "memory.peak",
        };
        Ok(self.read(file)?.trim().parse()?)
    }

    /// The number of processes killed for lack of memory.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
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

/// Mebibytes in the buffers of all TCP sockets on the machine, or 0 if that is unknown.
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
