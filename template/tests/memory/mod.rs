//! The memory of the service's own binary, as it runs.

use std::process::Command;

use serial_test::serial;

/// What `cargo loco task memory` prints.
fn report() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_{{crate_name}}-cli"))
        .args(["--environment", "test", "task", "memory"])
        .output()
        .expect("the service's binary runs");
    assert!(
        output.status.success(),
        "the memory task fails: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("the report is text")
}

#[test]
#[serial]
fn the_report_tells_the_memory_of_the_process() {
    let report = report();

    assert!(report.contains("\nrss "), "{report}");
}
{%- if memory_profile == "system" %}

#[test]
#[serial]
fn the_platforms_malloc_is_in_use() {
    let report = report();

    assert!(report.starts_with("allocator   system"), "{report}");
}
{%- else %}

#[cfg(not(target_env = "msvc"))]
#[test]
#[serial]
fn the_memory_profile_is_in_effect() {
    let report = report();

    assert!(report.starts_with("allocator   jemalloc"), "{report}");
    assert!(!report.contains("NOT IN EFFECT"), "{report}");
    for option in profile() {
        let (name, value) = option.split_once(':').expect("name:value");
        assert!(
            report
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>())
                .any(|line| matches!(line.as_slice(), [a, b, ..] if *a == name && (*b == value || *b == "(not"))),
            "{option} is not in effect:\n{report}"
        );
    }
}

/// The options that the profile's line in `.cargo/config.toml` asks for on this target.
#[cfg(not(target_env = "msvc"))]
fn profile() -> impl Iterator<Item = &'static str> {
    let without_background_thread = cfg!(any(target_os = "macos", target_env = "musl"));
    env!("JEMALLOC_SYS_WITH_MALLOC_CONF")
        .split(',')
        .filter(move |option| {
            !option.is_empty()
                && !(without_background_thread && *option == "background_thread:true")
        })
}

// On Linux jemalloc takes over `malloc` too, so that only the source tells whether Rust's
// allocations reach it directly, as they must elsewhere.
#[test]
fn rust_allocates_from_jemalloc() {
    let main = include_str!("../../src/bin/main.rs");

    assert!(
        main.contains("\n#[global_allocator]\nstatic ALLOCATOR: Jemalloc = Jemalloc;\n"),
        "src/bin/main.rs has no #[global_allocator]"
    );
}
{%- endif %}
