use std::{collections::BTreeMap, fmt, hint::black_box};

use loco_rs::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use tikv_jemalloc_ctl::{
    stats_print::{stats_print, Options},
    thread,
};

use super::mebibytes;

/// A variable of `[env]` in `.cargo/config.toml`. Cargo reads that file from the directory in which
/// it is called and from those above it: built from elsewhere, the profile would be lost without a
/// word. So the build stops there.
macro_rules! of_cargo_config {
    ($name:literal) => {
        env!(
            $name,
            concat!(
                "the memory profile is missing (",
                $name,
                "): build in the service's own directory, or copy [env] from its \
                 .cargo/config.toml to the .cargo/config.toml of the directory where you call cargo"
            )
        )
    };
}

const PROFILE: &str = of_cargo_config!("MEMORY_PROFILE");
const _: &str = of_cargo_config!("JEMALLOC_SYS_WITH_MALLOC_CONF");

/// The options that are told even where nobody sets them.
const ALWAYS_TOLD: [&str; 5] = [
    "background_thread",
    "dirty_decay_ms",
    "muzzy_decay_ms",
    "narenas",
    "tcache",
];

/// jemalloc as it runs in this process.
#[derive(Debug)]
pub struct Allocator {
    version: String,
    settings: Vec<Setting>,
    stats: Stats,
    serves_rust: bool,
}

/// An option of jemalloc: who set it, and the value that is in effect.
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    name: String,
    set: Option<(Source, String)>,
    /// `None` for the few options that jemalloc does not report, such as `slab_sizes`.
    effective: Option<String>,
}

/// Where jemalloc takes options from. A later one wins, option by option
/// ([jemalloc's manual](https://jemalloc.net/jemalloc.3.html), section TUNING).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Profile,
    GlobalVariable,
    SymbolicLink,
    Environment,
}

/// What jemalloc counts, in bytes where nothing else is said. Each is the `stats.*` of the same
/// name in [jemalloc's manual](https://jemalloc.net/jemalloc.3.html#stats.allocated).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// What the service has allocated and not freed.
    pub allocated: u64,
    /// Pages that hold at least one allocation.
    pub active: u64,
    /// Unused pages that are kept for reuse, until `dirty_decay_ms` has passed.
    pub dirty: u64,
    /// Unused pages that the kernel may take (`MADV_FREE`), until `muzzy_decay_ms` has passed.
    pub muzzy: u64,
    /// jemalloc's own book-keeping.
    pub metadata: u64,
    /// Physical memory that jemalloc holds: active, metadata and unused dirty pages.
    pub resident: u64,
    /// Address space of active extents.
    pub mapped: u64,
    /// Address space kept for later, without physical memory behind it.
    pub retained: u64,
    /// How many arenas there may be.
    pub arenas: u64,
    /// How many background threads run.
    pub background_threads: u64,
    /// How often background threads have run, all together.
    pub background_thread_runs: u64,
}

/// The parts that are read of what `malloc_stats_print` writes as JSON.
#[derive(Deserialize)]
struct Printed {
    jemalloc: PrintedJemalloc,
}

#[derive(Deserialize)]
struct PrintedJemalloc {
    version: String,
    config: PrintedConfig,
    opt: BTreeMap<String, Value>,
    arenas: PrintedArenas,
    stats: PrintedStats,
    #[serde(rename = "stats.arenas")]
    stats_arenas: PrintedStatsArenas,
}

#[derive(Deserialize)]
struct PrintedConfig {
    malloc_conf: String,
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

/// All arenas together, in pages.
#[derive(Deserialize)]
struct PrintedMerged {
    pdirty: u64,
    pmuzzy: u64,
}

impl From<&PrintedJemalloc> for Stats {
    fn from(printed: &PrintedJemalloc) -> Self {
        let PrintedJemalloc {
            arenas,
            stats,
            stats_arenas: PrintedStatsArenas { merged },
            ..
        } = printed;
        Self {
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

impl Allocator {
    /// The name of the memory profile.
    pub const PROFILE: &'static str = PROFILE;

    /// Asks jemalloc for its options and statistics.
    ///
    /// # Errors
    ///
    /// When jemalloc's answer cannot be read.
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

        Ok(Self {
            settings: settings(&jemalloc.config.malloc_conf, &jemalloc.opt),
            stats: Stats::from(&jemalloc),
            version: jemalloc.version,
            serves_rust: serves_rust()?,
        })
    }

    /// What of the profile is not in effect and why, a sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let missing = (!self.serves_rust).then(|| {
            "Rust allocates elsewhere than in jemalloc: #[global_allocator] is missing in \
             src/bin/main.rs"
                .to_string()
        });
        missing
            .into_iter()
            .chain(self.settings.iter().filter_map(Setting::problem))
            .collect()
    }

    /// Logs allocator, profile and the options in effect in one line, and a warning for each
    /// option that is not in effect.
    pub fn log(&self) {
        tracing::info!(
            allocator = "jemalloc",
            version = self.release(),
            profile = PROFILE,
            options = self.options(),
            overridden = self.overridden(),
            "memory"
        );
        for problem in self.problems() {
            tracing::warn!(profile = PROFILE, "memory profile not in effect: {problem}");
        }
    }

    /// What jemalloc counts.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// jemalloc's version: `5.3.1` of `5.3.1-0-g81034ce1…`.
    #[must_use]
    pub fn release(&self) -> &str {
        self.version
            .split_once('-')
            .map_or(self.version.as_str(), |(release, _)| release)
    }

    /// The options in effect as jemalloc writes them: `name:value,name:value`.
    #[must_use]
    pub fn options(&self) -> String {
        let reported: Vec<String> = self
            .settings
            .iter()
            .filter_map(|setting| Some(format!("{}:{}", setting.name, setting.effective.as_ref()?)))
            .collect();
        reported.join(",")
    }

    /// The options that a source other than the profile has set, and which.
    fn overridden(&self) -> Option<String> {
        let overridden: Vec<String> = self
            .settings
            .iter()
            .filter_map(|setting| match &setting.set {
                Some((source, _)) if *source != Source::Profile => {
                    Some(format!("{} by {source}", setting.name))
                }
                _ => None,
            })
            .collect();
        (!overridden.is_empty()).then(|| overridden.join(", "))
    }
}

impl Setting {
    fn problem(&self) -> Option<String> {
        let (source, asked) = self.set.as_ref()?;
        let effective = self.effective.as_ref()?;
        (asked != effective).then(|| {
            format!(
                "{} is {effective}, and not {asked} as set by {source}",
                self.name
            )
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Profile => "the profile",
            Self::GlobalVariable => "the symbol malloc_conf",
            Self::SymbolicLink => "/etc/malloc.conf",
            // Apple's and Android's jemalloc is always built with this prefix.
            Self::Environment if cfg!(any(target_vendor = "apple", target_os = "android")) => {
                "_RJEM_MALLOC_CONF"
            }
            Self::Environment => "MALLOC_CONF",
        })
    }
}

impl fmt::Display for Allocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "allocator   jemalloc {}", self.version)?;
        writeln!(f, "profile     {PROFILE}")?;
        writeln!(f)?;
        writeln!(f, "{:<28}{:<16}set by", "option", "in effect")?;
        for Setting {
            name,
            set,
            effective,
        } in &self.settings
        {
            let effective = effective.as_deref().unwrap_or("(not reported)");
            match set {
                Some((source, asked)) => {
                    writeln!(f, "{name:<28}{effective:<16}{source}: {asked}")?;
                }
                None => writeln!(f, "{name:<28}{effective:<16}jemalloc's default")?,
            }
        }
        for problem in self.problems() {
            writeln!(f, "NOT IN EFFECT: {problem}")?;
        }
        writeln!(f)?;
        for (name, bytes) in [
            ("allocated", self.stats.allocated),
            ("active", self.stats.active),
            ("dirty", self.stats.dirty),
            ("muzzy", self.stats.muzzy),
            ("metadata", self.stats.metadata),
            ("resident", self.stats.resident),
            ("mapped", self.stats.mapped),
            ("retained", self.stats.retained),
        ] {
            writeln!(f, "{name:<12}{:>12}", mebibytes(bytes))?;
        }
        writeln!(
            f,
            "arenas      {:>8}\nbackground threads: {}, which have run {} times",
            self.stats.arenas, self.stats.background_threads, self.stats.background_thread_runs
        )
    }
}

/// Every option that somebody has set, in the order in which they are set, and those that are
/// always told. `built_in` is the profile's option string, `opt` what jemalloc reports as `opt.*`.
fn settings(built_in: &str, opt: &BTreeMap<String, Value>) -> Vec<Setting> {
    let reported = |name: &str| {
        opt.get(name).map(|value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), String::from)
        })
    };
    let sources = [
        (Source::Profile, built_in.to_string()),
        (
            Source::GlobalVariable,
            reported("global_var").unwrap_or_default(),
        ),
        (
            Source::SymbolicLink,
            reported("symlink").unwrap_or_default(),
        ),
        (Source::Environment, reported("env_var").unwrap_or_default()),
    ];

    let mut settings: Vec<Setting> = Vec::new();
    for (source, options) in &sources {
        for (name, value) in options.split(',').filter_map(|pair| pair.split_once(':')) {
            let set = Some((*source, value.to_string()));
            match settings.iter_mut().find(|setting| setting.name == name) {
                Some(setting) => setting.set = set,
                None => settings.push(Setting {
                    name: name.to_string(),
                    set,
                    effective: reported(name),
                }),
            }
        }
    }
    for name in ALWAYS_TOLD {
        if !settings.iter().any(|setting| setting.name == name) {
            settings.push(Setting {
                name: name.to_string(),
                set: None,
                effective: reported(name),
            });
        }
    }
    settings
}

/// Whether what Rust allocates comes from jemalloc: does jemalloc count it?
fn serves_rust() -> Result<bool> {
    const SIZE: usize = 1 << 20;
    let allocated = thread::allocatedp::read().map_err(Error::msg)?;
    let before = allocated.get();
    drop(black_box(Vec::<u8>::with_capacity(SIZE)));
    Ok(allocated.get() - before >= SIZE as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn opt(values: Value) -> BTreeMap<String, Value> {
        serde_json::from_value(values).expect("a JSON object")
    }

    #[test]
    fn a_later_source_wins_option_by_option() {
        let settings = settings(
            "dirty_decay_ms:500,tcache:true",
            &opt(json!({
                "env_var": "dirty_decay_ms:123",
                "dirty_decay_ms": 123,
                "tcache": true,
            })),
        );

        assert_eq!(
            settings[0].set,
            Some((Source::Environment, "123".to_string()))
        );
        assert_eq!(settings[1].set, Some((Source::Profile, "true".to_string())));
        assert!(settings.iter().all(|setting| setting.problem().is_none()));
    }

    #[test]
    fn a_value_that_jemalloc_changed_is_a_problem() {
        let settings = settings("tcache_max:65536", &opt(json!({ "tcache_max": 32768 })));

        assert_eq!(
            settings[0].problem().as_deref(),
            Some("tcache_max is 32768, and not 65536 as set by the profile")
        );
    }

    #[test]
    fn an_option_that_jemalloc_does_not_report_is_no_problem() {
        let settings = settings("slab_sizes:128-4096:16", &opt(json!({})));

        assert_eq!(settings[0].problem(), None);
    }
}
