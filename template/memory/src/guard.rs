//! A last resort before the OOM killer: near the cgroup's limit, unused pages are returned at once.

use std::{
    thread,
    time::{Duration, Instant},
};

use loco_rs::prelude::*;

use crate::{
    allocator::{purge, Purged, CAN_PURGE},
    cgroup::{Cgroup, Usage},
    settings::Memory,
};

#[cfg(feature = "metrics")]
const PURGES: &str = "memory_guard_purges_total";
/// How often the cgroup is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// The least time between two purges: what the first has returned, the second cannot.
const PAUSE: Duration = Duration::from_secs(10);

struct Guard {
    cgroup: Cgroup,
    percent: u8,
    /// Since the limit came near.
    warned: bool,
    /// At the last look.
    has_failed: bool,
    last_purge: Option<Instant>,
}

/// Watches the cgroup, where the settings ask for it.
pub fn start(settings: &Memory) {
    if settings.guard_percent == 0 {
        return;
    }
    if !CAN_PURGE {
        tracing::warn!(
            "settings.memory.guard_percent has no effect: only jemalloc returns memory on demand"
        );
        return;
    }
    let Some(cgroup) = Cgroup::find(settings.cgroup.as_deref()) else {
        tracing::warn!("settings.memory.guard_percent has no effect: there is no cgroup");
        return;
    };
    #[cfg(feature = "metrics")]
    {
        metrics::describe_counter!(PURGES, "Purges because the cgroup came near its limit.");
        metrics::counter!(PURGES).absolute(0);
    }

    let mut guard = Guard {
        cgroup,
        percent: settings.guard_percent,
        warned: false,
        has_failed: false,
        last_purge: None,
    };
    // A thread of its own: it has to look while all others are busy.
    thread::spawn(move || loop {
        guard.watch();
        thread::sleep(LOOK);
    });
}

impl Guard {
    /// Looks. Of errors in a row, the first is logged.
    fn watch(&mut self) {
        match self.look() {
            Ok(_) => self.has_failed = false,
            Err(err) => {
                if !self.has_failed {
                    tracing::error!(%err, "the memory guard has failed: it tries again");
                }
                self.has_failed = true;
            }
        }
    }

    /// Purges where the limit is near. Each time that it comes near is logged once.
    fn look(&mut self) -> Result<Option<Purged>> {
        let Usage {
            working_set,
            limit: Some(limit),
            ..
        } = self.cgroup.usage()?
        else {
            return Ok(None);
        };
        if u128::from(working_set) * 100 < u128::from(limit) * u128::from(self.percent) {
            self.warned = false;
            return Ok(None);
        }
        if self.last_purge.is_some_and(|at| at.elapsed() < PAUSE) {
            return Ok(None);
        }

        let purged = purge()?;
        self.last_purge = Some(Instant::now());
        #[cfg(feature = "metrics")]
        metrics::counter!(PURGES).increment(1);
        if !self.warned {
            self.warned = true;
            tracing::warn!(
                working_set_bytes = working_set,
                limit_bytes = limit,
                guard_percent = self.percent,
                returned_bytes = purged.returned_bytes,
                "memory is near the cgroup's limit: purged"
            );
        }
        Ok(Some(purged))
    }
}

#[cfg(all(test, feature = "jemalloc", not(target_env = "msvc")))]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;

    /// A cgroup in files of the same form, and a guard at 90 % of its limit of 1000 bytes.
    fn guarded(name: &str) -> (PathBuf, Guard) {
        let directory = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        fs::write(directory.join("memory.max"), "1000\n").expect("a file");
        fs::write(directory.join("memory.stat"), "inactive_file 100\n").expect("a file");
        set_usage(&directory, 0);
        let guard = Guard {
            cgroup: Cgroup::find(Some(&directory)).expect("a cgroup"),
            percent: 90,
            warned: false,
            has_failed: false,
            last_purge: None,
        };
        (directory, guard)
    }

    fn set_usage(directory: &std::path::Path, bytes: u64) {
        fs::write(directory.join("memory.current"), format!("{bytes}\n")).expect("a file");
    }

    #[test]
    fn purges_near_the_limit_and_not_before() {
        let (cgroup, mut guard) = guarded("guard-near");

        // 899 without the file pages
        set_usage(&cgroup, 999);
        assert!(guard.look().expect("a look").is_none());
        set_usage(&cgroup, 1000);
        assert!(guard.look().expect("a look").is_some());
    }

    #[test]
    fn does_not_purge_again_at_once() {
        let (cgroup, mut guard) = guarded("guard-again");

        set_usage(&cgroup, 1000);
        assert!(guard.look().expect("a look").is_some());
        assert!(guard.look().expect("a look").is_none());
        guard.last_purge = Instant::now().checked_sub(PAUSE);
        assert!(guard.look().expect("a look").is_some());
    }

    #[test]
    fn tells_once_of_each_time_that_the_limit_comes_near() {
        let (cgroup, mut guard) = guarded("guard-tells");

        set_usage(&cgroup, 1000);
        guard.look().expect("a look");
        assert!(guard.warned);
        set_usage(&cgroup, 500);
        guard.look().expect("a look");
        set_usage(&cgroup, 1000);
        guard.look().expect("a look");
        assert!(!guard.warned, "there was no purge yet");
        guard.last_purge = Instant::now().checked_sub(PAUSE);
        guard.look().expect("a look");
        assert!(guard.warned);
    }

    #[test]
    fn goes_on_after_an_error() {
        let (cgroup, mut guard) = guarded("guard-error");

        fs::remove_file(cgroup.join("memory.current")).expect("a file");
        guard.watch();
        assert!(guard.has_failed);
        set_usage(&cgroup, 1000);
        guard.watch();
        assert!(!guard.has_failed);
        assert!(guard.last_purge.is_some());
    }

    #[test]
    fn a_cgroup_without_a_limit_is_left_alone() {
        let (cgroup, mut guard) = guarded("guard-max");

        fs::write(cgroup.join("memory.max"), "max\n").expect("a file");
        set_usage(&cgroup, 1000);
        assert!(guard.look().expect("a look").is_none());
    }
}
