//! The memory profile that the service was built with: `[env]` in `.cargo/config.toml`.
//!
//! Cargo reads that file from the directory where it is called and its parents. A build from
//! elsewhere would silently lose the profile, so it fails instead.

/// The name of the profile.
pub const NAME: Option<&str> = option_env!("MEMORY_PROFILE");
/// jemalloc's options, `name:value` separated by commas.
pub const OPTIONS: Option<&str> = option_env!("JEMALLOC_SYS_WITH_MALLOC_CONF");
/// Another jemalloc, linked in place of the one built with these options.
pub const OVERRIDE: Option<&str> = option_env!("JEMALLOC_OVERRIDE");

const HEAP_PROFILING: &str = "prof:true,prof_active:true,lg_prof_sample:21";

const MISSING_NAME: &str =
    "the memory profile is missing (MEMORY_PROFILE): build in the service's own directory, or copy \
     [env] from its .cargo/config.toml to the .cargo/config.toml of the directory where you run \
     cargo";

const MISSING_OPTIONS: &str =
    "the memory profile is missing (JEMALLOC_SYS_WITH_MALLOC_CONF): build in the service's own \
     directory, or copy [env] from its .cargo/config.toml to the .cargo/config.toml of the \
     directory where you run cargo";

const PROFILING_NOT_BUILT_IN: &str =
    "the memory profile has prof:true (JEMALLOC_SYS_WITH_MALLOC_CONF in .cargo/config.toml), which \
     this jemalloc refuses: add \"heap-profiling\" to the features of `memory` in Cargo.toml, or \
     remove the heap profiling options";

/// Fails the build of a service that would run without its profile.
pub const fn assert_built_in() {
    if !cfg!(feature = "jemalloc") || cfg!(target_env = "msvc") {
        return;
    }
    assert!(NAME.is_some(), "{}", MISSING_NAME);
    let Some(options) = OPTIONS else {
        panic!("{}", MISSING_OPTIONS)
    };
    assert!(
        cfg!(feature = "heap-profiling") || !enables_profiling(options.as_bytes()),
        "{}",
        PROFILING_NOT_BUILT_IN
    );
}

/// Whether `prof:true` is one of the options.
const fn enables_profiling(options: &[u8]) -> bool {
    let wanted = b"prof:true";
    let mut start = 0;
    while start + wanted.len() <= options.len() {
        let mut length = 0;
        while length < wanted.len() && options[start + length] == wanted[length] {
            length += 1;
        }
        if length == wanted.len() && (start == 0 || options[start - 1] == b',') {
            return true;
        }
        start += 1;
    }
    false
}

/// Features or options that are built in although something they require is missing: one sentence
/// each, saying how to fix it.
pub fn problems() -> Vec<String> {
    let mut problems = Vec::new();
    if cfg!(all(feature = "jemalloc", not(target_env = "msvc"))) {
        if NAME.is_none() {
            problems.push(MISSING_NAME.to_string());
        } else if OPTIONS.is_none() {
            problems.push(MISSING_OPTIONS.to_string());
        }
    }
    if let (Some(name), false) = (NAME, cfg!(feature = "jemalloc")) {
        problems.push(format!(
            "the profile {name} in .cargo/config.toml needs jemalloc: add \"jemalloc\" to the \
             features of `memory` in Cargo.toml, or remove [env]"
        ));
    }
    if NAME == Some("lean") && !cfg!(feature = "idle") {
        problems.push(
            "the profile lean returns memory when the service goes idle: add \"idle\" to the \
             features of `memory` in Cargo.toml, or give the profile another name"
                .to_string(),
        );
    }
    if let Some(options) = OPTIONS {
        let is_enabled = enables_profiling(options.as_bytes());
        if is_enabled && cfg!(all(feature = "jemalloc", not(feature = "heap-profiling"))) {
            problems.push(PROFILING_NOT_BUILT_IN.to_string());
        }
        if !is_enabled && cfg!(feature = "heap-profiling") {
            problems.push(format!(
                "heap profiling is built in, but the profile does not enable it: add \
                 {HEAP_PROFILING} to JEMALLOC_SYS_WITH_MALLOC_CONF in .cargo/config.toml, or \
                 remove \"heap-profiling\" from the features of `memory` in Cargo.toml"
            ));
        }
    }
    if let Some(library) = OVERRIDE.filter(|_| cfg!(feature = "jemalloc")) {
        problems.push(format!(
            "JEMALLOC_OVERRIDE was set when the service was built: {library} is linked in place of \
             the jemalloc that has the profile built in"
        ));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_option_prof_switches_profiling_on() {
        assert!(enables_profiling(b"prof:true"));
        assert!(enables_profiling(b"tcache:false,prof:true,abort_conf:true"));
        for others in [
            "",
            "prof:false",
            "prof:tru",
            "xprof:true",
            "prof_active:true",
        ] {
            assert!(!enables_profiling(others.as_bytes()), "{others}");
        }
    }
}
