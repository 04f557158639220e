//! The cgroup of the process, with its memory limit.

use std::{
    fs,
    path::{Path, PathBuf},
};

use loco_rs::prelude::*;

/// Without a limit, version 1 reports the largest multiple of the page size.
const NO_LIMIT: u64 = 1 << 62;

/// The cgroup with the lowest memory limit among the process's own and its ancestors.
#[derive(Debug)]
pub struct Cgroup {
    directory: PathBuf,
    files: &'static Files,
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub current: u64,
    /// `current` without the file pages that were not used lately: what Kubernetes calls the working set.
    pub working_set: u64,
    /// `current` without what the kernel drops before it kills a process: file pages, and caches of its
    /// own.
    pub unreclaimable: u64,
    pub limit: Option<u64>,
}

/// The share of the last 10 s, from 0 to 1, in which tasks waited for memory
/// ([PSI](https://docs.kernel.org/accounting/psi.html)).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pressure {
    /// At least one task waited.
    pub some: f64,
    /// All tasks waited.
    pub full: f64,
}

/// File names in one version of cgroups.
#[derive(Debug)]
struct Files {
    usage: &'static str,
    limit: &'static str,
    inactive_file: &'static str,
    active_file: &'static str,
    /// Version 1 does not report it.
    slab_reclaimable: &'static str,
}

const V2: Files = Files {
    usage: "memory.current",
    limit: "memory.max",
    inactive_file: "inactive_file ",
    active_file: "active_file ",
    slab_reclaimable: "slab_reclaimable ",
};
const V1: Files = Files {
    usage: "memory.usage_in_bytes",
    limit: "memory.limit_in_bytes",
    inactive_file: "total_inactive_file ",
    active_file: "total_active_file ",
    slab_reclaimable: "total_slab_reclaimable ",
};

impl Cgroup {
    /// Finds the cgroup of this process, or the one in `directory`.
    #[must_use]
    pub fn find(directory: Option<&Path>) -> Option<Self> {
        if let Some(directory) = directory {
            return Self::at(directory);
        }
        // `0::/path` is version 2, `4:memory:/path` version 1: cgroups(7)
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        own.lines()
            .filter_map(|line| {
                let (_, line) = line.split_once(':')?;
                let (controllers, path) = line.split_once(':')?;
                if controllers.is_empty() {
                    Some(("/sys/fs/cgroup", path))
                } else {
                    let memory = controllers.split(',').any(|name| name == "memory");
                    memory.then_some(("/sys/fs/cgroup/memory", path))
                }
            })
            .flat_map(|(root, path)| {
                let own = Path::new(root).join(path.trim_start_matches('/'));
                let ancestors: Vec<PathBuf> = own
                    .ancestors()
                    .take_while(|directory| directory.starts_with(root))
                    .map(Path::to_path_buf)
                    .collect();
                ancestors
            })
            .filter_map(|directory| Self::at(&directory))
            .min_by_key(|cgroup| cgroup.limit().unwrap_or(u64::MAX))
    }

    fn at(directory: &Path) -> Option<Self> {
        [&V2, &V1]
            .into_iter()
            .find(|files| directory.join(files.usage).exists())
            .map(|files| Self {
                directory: directory.to_path_buf(),
                files,
            })
    }

    /// The memory limit, if there is one and it can be read.
    pub fn limit(&self) -> Option<u64> {
        self.usage().ok()?.limit
    }

    /// Reads memory usage and limit.
    ///
    /// # Errors
    ///
    /// If the files cannot be read.
    pub fn usage(&self) -> Result<Usage> {
        let current = self
            .read_number(self.files.usage)?
            .ok_or_else(|| Error::string("the cgroup's memory usage is not a number"))?;
        let stat = self.read("memory.stat")?;
        let bytes = |name: &str| -> u64 {
            let mut lines = stat.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.parse().ok());
            value.unwrap_or(0)
        };
        let working_set = current.saturating_sub(bytes(self.files.inactive_file));
        let reclaimable = bytes(self.files.active_file) + bytes(self.files.slab_reclaimable);
        Ok(Usage {
            current,
            working_set,
            unreclaimable: working_set.saturating_sub(reclaimable),
            limit: self
                .read_number(self.files.limit)?
                .filter(|limit| *limit < NO_LIMIT),
        })
    }

    /// Reads how long tasks have waited for memory. `None` with version 1 and older kernels.
    #[must_use]
    pub fn pressure(&self) -> Option<Pressure> {
        let pressure = self.read("memory.pressure").ok()?;
        // `some avg10=1.23 avg60=…`, in percent
        let share = |of: &str| -> Option<f64> {
            let line = pressure.lines().find_map(|line| line.strip_prefix(of))?;
            let percent = line.trim().strip_prefix("avg10=")?.split(' ').next()?;
            Some(percent.parse::<f64>().ok()? / 100.0)
        };
        Some(Pressure {
            some: share("some")?,
            full: share("full")?,
        })
    }

    /// `None` for `max`, which means no limit.
    fn read_number(&self, file: &str) -> Result<Option<u64>> {
        Ok(self.read(file)?.trim().parse().ok())
    }

    fn read(&self, file: &str) -> Result<String> {
        Ok(fs::read_to_string(self.directory.join(file))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cgroup made of these files, in a directory named after the test.
    fn cgroup(name: &str, files: &[(&str, &str)]) -> Cgroup {
        let directory = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        for (file, text) in files {
            fs::write(directory.join(file), text).expect("a file");
        }
        Cgroup::find(Some(&directory)).expect("a cgroup")
    }

    #[test]
    fn version_2_is_read() {
        let cgroup = cgroup(
            "cgroup-v2",
            &[
                ("memory.current", "1000\n"),
                ("memory.max", "4000\n"),
                (
                    "memory.stat",
                    "anon 700\ninactive_file 200\nactive_file 50\nslab_reclaimable 20\n",
                ),
                (
                    "memory.pressure",
                    "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\n\
                     full avg10=0.25 avg60=0.00 avg300=0.00 total=4\n",
                ),
            ],
        );

        assert_eq!(
            cgroup.usage().expect("figures"),
            Usage {
                current: 1000,
                working_set: 800,
                unreclaimable: 730,
                limit: Some(4000)
            }
        );
        assert_eq!(
            cgroup.pressure(),
            Some(Pressure {
                some: 0.015,
                full: 0.0025
            })
        );
    }

    #[test]
    fn version_1_is_read() {
        let cgroup = cgroup(
            "cgroup-v1",
            &[
                ("memory.usage_in_bytes", "1000\n"),
                ("memory.limit_in_bytes", "9223372036854771712\n"),
                (
                    "memory.stat",
                    "inactive_file 1\ntotal_inactive_file 300\ntotal_active_file 50\n",
                ),
            ],
        );

        assert_eq!(
            cgroup.usage().expect("figures"),
            Usage {
                current: 1000,
                working_set: 700,
                unreclaimable: 650,
                limit: None
            }
        );
        assert_eq!(cgroup.pressure(), None);
    }

    #[test]
    fn no_limit_is_none() {
        let cgroup = cgroup(
            "cgroup-max",
            &[
                ("memory.current", "1000\n"),
                ("memory.max", "max\n"),
                ("memory.stat", "anon 700\n"),
            ],
        );

        assert_eq!(cgroup.usage().expect("figures").limit, None);
    }
}
