//! A last resort before the OOM killer: near the cgroup's limit, returns unused pages at once and
//! makes requests wait, then sheds connections and requests.

use std::{
    fs,
    sync::atomic::{AtomicU8, Ordering},
    thread,
    time::{Duration, Instant},
};

use loco_rs::prelude::*;

use crate::{
    allocator::{live, return_pages, unused, CAN_PURGE},
    black_box::{BlackBox, Reason, Recorder},
    cgroup::{Cgroup, Usage},
    settings::Memory,
};

#[cfg(feature = "metrics")]
const PURGES: &str = "memory_guard_purges_total";
#[cfg(feature = "metrics")]
const SHEDS: &str = "memory_guard_sheds_total";
/// How often to check the cgroup: in less time than a burst needs to fill what is left.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// The minimum time between two purges, as a second one right after the first returns nothing more.
const MIN_PURGE_INTERVAL: Duration = Duration::from_secs(1);
/// Returning less than this share of the limit helps nobody.
const MIN_PURGE_PERCENT: u64 = 1;
/// How often to check how much memory is live, which takes jemalloc's locks.
const GROWTH_INTERVAL: Duration = Duration::from_secs(10);
/// Growth is measured from at least an eighth of the limit: a service that has just started needs
/// less.
const BASELINE_DIVISOR: u64 = 8;
/// The share of the last 10 s spent waiting for memory at or above which a record is written.
const STALL_SHARE: f64 = 0.1;
/// The minimum time between two warnings.
const WARNING_INTERVAL: Duration = Duration::from_mins(1);
/// Memory in bytes to assume if neither a cgroup nor the system reports any.
const FALLBACK_LIMIT: u64 = 2 << 30;

/// How near the limit memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressure {
    None,
    /// At or above `settings.memory.guard_percent`: no request begins while another is worked on.
    Hold,
    /// At or above the midpoint between that and the limit: idle connections are closed, requests
    /// that would wait are refused, and no connections are accepted.
    Shed,
}

static PRESSURE: AtomicU8 = AtomicU8::new(0);

/// The current pressure.
pub fn pressure() -> Pressure {
    match PRESSURE.load(Ordering::Relaxed) {
        0 => Pressure::None,
        1 => Pressure::Hold,
        _ => Pressure::Shed,
    }
}

/// Bytes that requests may make the service hold: a share of the cgroup's limit, or of the
/// machine's memory if that is less.
pub fn budget(settings: &Memory) -> u64 {
    limit(settings) / 100 * u64::from(settings.budget_percent)
}

fn limit(settings: &Memory) -> u64 {
    let cgroup = Cgroup::find(settings.cgroup.as_deref());
    let cgroup_limit = cgroup.and_then(|cgroup| cgroup.limit());
    let limits = cgroup_limit.into_iter().chain(machine_memory());
    limits.min().unwrap_or(FALLBACK_LIMIT)
}

/// Reads a line such as `MemTotal:       24554084 kB`: `proc_meminfo(5)`.
fn machine_memory() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let total = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = total.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

struct Guard {
    /// Where the current pressure is published.
    published: &'static AtomicU8,
    cgroup: Cgroup,
    percent: u8,
    last_warning: Option<Instant>,
    /// Whether the last check failed.
    has_failed: bool,
    last_purge: Option<Instant>,
    recorder: Option<Recorder>,
    growth: Growth,
}

/// How much memory is live, compared to when it was last found to have doubled.
#[derive(Default)]
struct Growth {
    last_check: Option<Instant>,
    baseline: Option<u64>,
}

/// Starts to watch the cgroup, if there is one with a limit and the settings ask for it.
pub fn start(settings: &Memory) {
    #[cfg(feature = "metrics")]
    {
        metrics::describe_counter!(PURGES, "Purges because memory was near the cgroup's limit.");
        metrics::counter!(PURGES).absolute(0);
        metrics::describe_counter!(SHEDS, "How often the guard began to close connections.");
        metrics::counter!(SHEDS).absolute(0);
    }
    // It also reports earlier records, whether or not there is a limit now.
    let recorder = start_recorder(settings);
    let Some(cgroup) = Cgroup::find(settings.cgroup.as_deref()) else {
        return;
    };
    let Some(limit) = cgroup.limit() else {
        return;
    };
    if settings.guard_percent == 0 {
        return;
    }
    warn_if_limit_too_small(settings, limit);
    let mut guard = Guard {
        published: &PRESSURE,
        cgroup,
        percent: settings.guard_percent,
        last_warning: None,
        has_failed: false,
        last_purge: None,
        recorder,
        growth: Growth::default(),
    };
    // A separate thread, as it has to check even while all workers are busy.
    let thread = thread::Builder::new().name("memory-guard".to_string());
    let started = thread.spawn(move || loop {
        guard.run_once();
        thread::sleep(CHECK_INTERVAL);
    });
    if let Err(err) = started {
        tracing::error!(%err, "memory guard could not start");
    }
}

/// Starts the thread of the black box, if the settings ask for it.
fn start_recorder(settings: &Memory) -> Option<Recorder> {
    let started = Recorder::start(BlackBox::new(settings)?);
    started
        .inspect_err(|err| tracing::error!(%err, "memory black box unavailable"))
        .ok()
}

/// Warns if the limit is less than what the service and its budget need together.
fn warn_if_limit_too_small(settings: &Memory, limit: u64) {
    let Ok(process) = crate::Process::read() else {
        return;
    };
    let budget = budget(settings);
    if process.rss + budget > limit {
        tracing::warn!(
            limit_bytes = limit,
            rss_bytes = process.rss,
            budget_bytes = budget,
            "the memory limit is too low for the service itself together with \
             settings.memory.budget_percent of the limit: raise the limit, or lower the percentage"
        );
    }
}

impl Guard {
    /// Checks once. Of consecutive errors, only the first is logged.
    fn run_once(&mut self) {
        match self.check() {
            Ok(pressure) => {
                self.publish(pressure);
                self.record(pressure);
                self.has_failed = false;
            }
            Err(err) => {
                if !self.has_failed {
                    tracing::error!(%err, "the memory guard has failed, and will try again");
                }
                // The last known pressure may be outdated.
                self.publish(Pressure::None);
                self.has_failed = true;
            }
        }
    }

    fn publish(&self, pressure: Pressure) {
        #[cfg(feature = "metrics")]
        if pressure == Pressure::Shed && self.published.load(Ordering::Relaxed) < pressure as u8 {
            metrics::counter!(SHEDS).increment(1);
        }
        self.published.store(pressure as u8, Ordering::Relaxed);
    }

    /// Purges if the limit is near, and returns the pressure after that.
    fn check(&mut self) -> Result<Pressure> {
        let pressure = self.pressure()?;
        if pressure == Pressure::None
            || self
                .last_purge
                .is_some_and(|at| at.elapsed() < MIN_PURGE_INTERVAL)
        {
            return Ok(pressure);
        }
        self.last_purge = Some(Instant::now());
        // No request should begin while pages are being returned.
        self.publish(pressure);
        if CAN_PURGE && self.is_worth_purging() {
            return_pages()?;
            #[cfg(feature = "metrics")]
            metrics::counter!(PURGES).increment(1);
        }
        self.pressure()
    }

    /// Requests a black-box record if there is a reason.
    fn record(&mut self, pressure: Pressure) {
        let Some(recorder) = &self.recorder else {
            return;
        };
        match pressure {
            Pressure::None => {}
            Pressure::Hold => recorder.request(Reason::Guard),
            Pressure::Shed => recorder.request(Reason::Shed),
        }
        let stalled = self.cgroup.pressure();
        if stalled.is_some_and(|stalled| stalled.some >= STALL_SHARE) {
            recorder.request(Reason::Stall);
        }
        if self.growth.is_due() {
            if let (Ok(live), Some(limit)) = (live(), self.cgroup.limit()) {
                if self.growth.has_doubled(live, limit) {
                    recorder.request(Reason::Growth);
                }
            }
        }
    }

    /// Whether there are unused pages, as far as is known.
    fn is_worth_purging(&self) -> bool {
        let limit = self.cgroup.limit().unwrap_or_default();
        let unused = unused().ok().flatten();
        unused.is_none_or(|bytes| bytes >= limit / 100 * MIN_PURGE_PERCENT)
    }

    fn pressure(&mut self) -> Result<Pressure> {
        let Usage {
            unreclaimable,
            limit: Some(limit),
            ..
        } = self.cgroup.usage()?
        else {
            return Ok(Pressure::None);
        };
        let reaches = |percent: u8| {
            u128::from(unreclaimable) * 100 >= u128::from(limit) * u128::from(percent)
        };
        if !reaches(self.percent) {
            return Ok(Pressure::None);
        }
        if self
            .last_warning
            .is_none_or(|at| at.elapsed() >= WARNING_INTERVAL)
        {
            self.last_warning = Some(Instant::now());
            tracing::warn!(
                unreclaimable_bytes = unreclaimable,
                limit_bytes = limit,
                guard_percent = self.percent,
                "memory is near the cgroup's limit: returning unused memory, requests wait"
            );
        }
        Ok(if reaches(self.percent.midpoint(100)) {
            Pressure::Shed
        } else {
            Pressure::Hold
        })
    }
}

impl Growth {
    fn is_due(&mut self) -> bool {
        let is_due = self
            .last_check
            .is_none_or(|at| at.elapsed() >= GROWTH_INTERVAL);
        if is_due {
            self.last_check = Some(Instant::now());
        }
        is_due
    }

    /// Whether live memory has doubled since this last returned true, or since the first check.
    fn has_doubled(&mut self, live: u64, limit: u64) -> bool {
        let at_start = live.max(limit / BASELINE_DIVISOR);
        let baseline = self.baseline.get_or_insert(at_start);
        let has_doubled = live >= 2 * *baseline;
        if has_doubled {
            *baseline = live;
        }
        has_doubled
    }
}

#[cfg(all(test, feature = "jemalloc", not(target_env = "msvc")))]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A cgroup made of files, and a guard at 80 % of its limit of 1000 bytes.
    fn guarded(name: &str) -> (PathBuf, Guard) {
        let directory = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        fs::write(directory.join("memory.max"), "1000\n").expect("a file");
        fs::write(directory.join("memory.stat"), "inactive_file 100\n").expect("a file");
        set_usage(&directory, 0);
        let guard = Guard {
            published: Box::leak(Box::default()),
            cgroup: Cgroup::find(Some(&directory)).expect("a cgroup"),
            percent: 80,
            last_warning: None,
            has_failed: false,
            last_purge: None,
            recorder: None,
            growth: Growth::default(),
        };
        (directory, guard)
    }

    fn set_usage(directory: &std::path::Path, bytes: u64) {
        fs::write(directory.join("memory.current"), format!("{bytes}\n")).expect("a file");
    }

    #[test]
    fn purges_near_the_limit_and_not_before() {
        let (cgroup, mut guard) = guarded("guard-near");

        // 799 without the file pages
        set_usage(&cgroup, 899);
        assert_eq!(guard.check().expect("a check"), Pressure::None);
        assert!(guard.last_purge.is_none());
        set_usage(&cgroup, 900);
        assert_eq!(guard.check().expect("a check"), Pressure::Hold);
        assert!(guard.last_purge.is_some());
        set_usage(&cgroup, 1000);
        assert_eq!(guard.check().expect("a check"), Pressure::Shed);
        set_usage(&cgroup, 500);
        assert_eq!(guard.check().expect("a check"), Pressure::None);
    }

    #[test]
    fn does_not_purge_again_at_once() {
        let (cgroup, mut guard) = guarded("guard-again");

        set_usage(&cgroup, 1000);
        guard.check().expect("a check");
        let first = guard.last_purge;
        guard.check().expect("a check");
        assert_eq!(guard.last_purge, first);
        guard.last_purge = Instant::now().checked_sub(MIN_PURGE_INTERVAL);
        guard.check().expect("a check");
        assert!(guard.last_purge > first);
    }

    #[test]
    fn warns_once_while_the_limit_is_near() {
        let (cgroup, mut guard) = guarded("guard-tells");

        set_usage(&cgroup, 1000);
        guard.check().expect("a check");
        let first = guard.last_warning;
        assert!(first.is_some());
        guard.check().expect("a check");
        assert_eq!(guard.last_warning, first);
        guard.last_warning = Instant::now().checked_sub(WARNING_INTERVAL);
        guard.check().expect("a check");
        assert!(guard.last_warning > first);
    }

    #[test]
    fn goes_on_after_an_error() {
        let (cgroup, mut guard) = guarded("guard-error");

        fs::remove_file(cgroup.join("memory.current")).expect("a file");
        guard.publish(Pressure::Shed);
        guard.run_once();
        assert!(guard.has_failed);
        assert_eq!(
            guard.published.load(Ordering::Relaxed),
            Pressure::None as u8
        );
        set_usage(&cgroup, 850);
        guard.run_once();
        assert!(!guard.has_failed);
    }

    #[test]
    fn the_black_box_is_written_near_the_limit() {
        let (cgroup, mut guard) = guarded("guard-records");
        let settings = Memory {
            black_box: cgroup.join("black_box").display().to_string(),
            ..Memory::default()
        };
        let black_box = BlackBox::new(&settings).expect("a directory");
        guard.recorder = Some(Recorder::start(black_box.clone()).expect("a thread"));

        set_usage(&cgroup, 500);
        guard.run_once();
        set_usage(&cgroup, 1000);
        guard.run_once();

        let started = Instant::now();
        let reasons = || -> Vec<Reason> {
            let records = black_box.records().expect("records").into_iter();
            records.map(|record| record.reason).collect()
        };
        while reasons().is_empty() && started.elapsed() < Duration::from_secs(30) {
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(reasons(), [Reason::Shed]);
    }

    #[test]
    fn growth_is_noticed_at_each_doubling() {
        let mut growth = Growth::default();

        let noticed: Vec<u64> = [5, 10, 19, 20, 39, 40, 10, 79, 80]
            .into_iter()
            .filter(|live| growth.has_doubled(*live, 80))
            .collect();

        assert_eq!(noticed, [20, 40, 80]);
    }

    #[test]
    fn a_cgroup_without_a_limit_is_left_alone() {
        let (cgroup, mut guard) = guarded("guard-max");

        fs::write(cgroup.join("memory.max"), "max\n").expect("a file");
        set_usage(&cgroup, 1000);
        assert_eq!(guard.check().expect("a check"), Pressure::None);
    }
}
