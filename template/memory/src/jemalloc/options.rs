//! Which source has set each of jemalloc's options, and whether that is in effect.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use crate::profile;

/// Options that are reported even if nothing sets them.
const ALWAYS_REPORTED: [&str; 5] = [
    "background_thread",
    "dirty_decay_ms",
    "muzzy_decay_ms",
    "narenas",
    "tcache",
];

/// An option of jemalloc, with the source that set it and the value in effect.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    name: String,
    set: Option<(Source, String)>,
    /// `None` for the few options that jemalloc does not report, such as `slab_sizes`.
    effective: Option<String>,
}

/// Where jemalloc takes options from. The last one wins, option by option
/// ([jemalloc's manual](https://jemalloc.net/jemalloc.3.html), section TUNING).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Options that jemalloc was built with but that the profile does not contain: jemalloc was
    /// built for something else.
    Build,
    Profile,
    GlobalVariable,
    SymbolicLink,
    Environment,
}

/// The profile's options, as pairs of name and value.
///
/// Without `background_thread` on macOS and musl, where it does not start
/// ([tikv/jemallocator 179](https://github.com/tikv/jemallocator/issues/179)).
pub fn profile_options() -> Vec<(&'static str, &'static str)> {
    profile::OPTIONS
        .unwrap_or_default()
        .split(',')
        .filter_map(|pair| pair.split_once(':'))
        .filter(|(name, _)| {
            *name != "background_thread" || !cfg!(any(target_os = "macos", target_env = "musl"))
        })
        .collect()
}

/// Every option that any source sets, in order, followed by those that are always reported.
/// `profile` is what the service was built for, `built_in` are the options that jemalloc was built
/// with, and `opt` is what jemalloc reports as `opt.*`.
pub fn settings(
    profile: &[(&str, &str)],
    built_in: &str,
    opt: &BTreeMap<String, Value>,
) -> Vec<Setting> {
    let reported = |name: &str| {
        opt.get(name).map(|value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), String::from)
        })
    };
    let process_options = |name: &str| pairs(&reported(name).unwrap_or_default());
    let profile: Vec<(String, String)> = profile
        .iter()
        .map(|(name, value)| ((*name).to_string(), (*value).to_string()))
        .collect();
    let unexpected: Vec<(String, String)> = pairs(built_in)
        .into_iter()
        .filter(|(name, _)| profile.iter().all(|(known, _)| known != name))
        .collect();

    let mut settings: Vec<Setting> = Vec::new();
    for (source, options) in [
        (Source::Profile, profile),
        (Source::Build, unexpected),
        (Source::GlobalVariable, process_options("global_var")),
        (Source::SymbolicLink, process_options("symlink")),
        (Source::Environment, process_options("env_var")),
    ] {
        for (name, value) in options {
            let set = Some((source, value));
            match settings.iter_mut().find(|setting| setting.name == name) {
                Some(setting) => setting.set = set,
                None => settings.push(Setting {
                    effective: reported(&name),
                    name,
                    set,
                }),
            }
        }
    }
    for name in ALWAYS_REPORTED {
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

/// Splits `name:value,name:value`.
fn pairs(options: &str) -> Vec<(String, String)> {
    options
        .split(',')
        .filter_map(|pair| pair.split_once(':'))
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

impl Setting {
    /// Why the option is not in effect as set by the profile or a later source, if so.
    pub fn problem(&self) -> Option<String> {
        let (source, requested) = self.set.as_ref()?;
        if *source == Source::Build {
            return Some(format!(
                "{} was built into jemalloc as {requested}, but is not in the profile: the build's \
                 environment has another JEMALLOC_SYS_WITH_MALLOC_CONF, or another jemalloc",
                self.name
            ));
        }
        let effective = self.effective.as_ref()?;
        (requested != effective).then(|| {
            format!(
                "{} is {effective}, not {requested} as set by {source}",
                self.name
            )
        })
    }

    /// `name:value`, if jemalloc reports the option.
    pub fn in_effect(&self) -> Option<String> {
        let effective = self.effective.as_ref()?;
        Some(format!("{}:{effective}", self.name))
    }

    /// The source that has overridden the profile, if any.
    pub fn overridden(&self) -> Option<String> {
        match &self.set {
            Some((source, _)) if *source != Source::Profile => {
                Some(format!("{} by {source}", self.name))
            }
            _ => None,
        }
    }

    pub fn enables_background_thread(&self) -> bool {
        self.name == "background_thread" && self.effective.as_deref() == Some("true")
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Build => "jemalloc's build",
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

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effective = self.effective.as_deref().unwrap_or("(not reported)");
        write!(f, "{:<28}{effective:<16}", self.name)?;
        match &self.set {
            Some((source, requested)) => write!(f, "{source}: {requested}"),
            None => f.write_str("jemalloc's default"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Report;

    fn opt(values: Value) -> BTreeMap<String, Value> {
        serde_json::from_value(values).expect("a JSON object")
    }

    #[test]
    fn a_later_source_wins_option_by_option() {
        let settings = settings(
            &[("dirty_decay_ms", "500"), ("tcache", "true")],
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
        let settings = settings(
            &[("tcache_max", "65536")],
            "tcache_max:65536",
            &opt(json!({ "tcache_max": 32768 })),
        );

        assert_eq!(
            settings[0].problem().as_deref(),
            Some("tcache_max is 32768, not 65536 as set by the profile")
        );
    }

    #[test]
    fn a_jemalloc_that_was_built_for_something_else_is_a_problem() {
        let settings = settings(
            &[("dirty_decay_ms", "2000")],
            "tcache:false",
            &opt(json!({ "dirty_decay_ms": 10000, "tcache": false })),
        );

        let problems: Vec<String> = settings.iter().filter_map(Setting::problem).collect();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("dirty_decay_ms is 10000, not 2000"));
        assert!(problems[1].contains("tcache was built into jemalloc as false"));
    }

    #[test]
    fn the_profile_that_is_built_in_is_in_effect() {
        if !profile::problems().is_empty() {
            return;
        }
        let report = Report::read().expect("a report");

        assert!(report.problems().is_empty(), "{:?}", report.problems());
        for (name, value) in profile_options() {
            let option = format!("{name}:{value}");
            assert!(report.options().contains(&option), "{option}: {report}");
        }
    }

    #[test]
    fn an_option_that_jemalloc_does_not_report_is_no_problem() {
        let settings = settings(
            &[("slab_sizes", "128-4096:16")],
            "slab_sizes:128-4096:16",
            &opt(json!({})),
        );

        assert_eq!(settings[0].problem(), None);
    }
}
