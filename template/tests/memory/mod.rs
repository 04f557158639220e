//! The memory of the service's own binary, as it runs.

{% if memory_metrics == "true" or heap_profiling == "true" -%}
#[cfg(not(target_env = "msvc"))]
mod admin;
{% endif -%}
{% if memory_metrics == "true" -%}
#[cfg(not(target_env = "msvc"))]
mod metrics;
{% endif -%}
{% if heap_profiling == "true" -%}
#[cfg(not(target_env = "msvc"))]
mod profiling;
{% endif -%}
{% if memory_metrics == "true" or heap_profiling == "true" %}
{% endif -%}
use std::process::Command;
{% if memory_profile == "system" %}
use loco_rs::{app::Initializer, testing::prelude::*};
use serial_test::serial;

use {{crate_name}}::{app::App, memory::MemoryInitializer};
{%- else %}
use serial_test::serial;
{%- endif %}

const BINARY: &str = env!("CARGO_BIN_EXE_{{crate_name}}-cli");

/// What `cargo loco task memory` prints.
fn report() -> String {
    let output = Command::new(BINARY)
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

#[tokio::test]
#[serial]
async fn the_doctor_is_told_of_no_memory_profile() {
    let boot = boot_test::<App>().await.expect("the service boots");

    let check = MemoryInitializer.check(&boot.app_context).await;

    assert!(check.expect("no error").is_none());
}
{%- else %}

#[cfg(not(target_env = "msvc"))]
#[test]
#[serial]
fn the_memory_profile_is_in_effect() {
    let report = report();

    assert!(report.starts_with("allocator   jemalloc"), "{report}");
    assert!(!report.contains("NOT IN EFFECT"), "{report}");
    for (option, value) in profile() {
        let line = report
            .lines()
            .find(|line| line.split_whitespace().next() == Some(option))
            .unwrap_or_else(|| panic!("{option} is not set:\n{report}"));
        let in_effect = line.split_whitespace().nth(1);
        assert!(
            in_effect == Some(value) || line.contains("(not reported)"),
            "{option}:{value} is not in effect: {line}"
        );
    }
}

/// The options that `.cargo/config.toml` asks for. On macOS and musl the background thread is left
/// out.
#[cfg(not(target_env = "msvc"))]
fn profile() -> impl Iterator<Item = (&'static str, &'static str)> {
    env!("JEMALLOC_SYS_WITH_MALLOC_CONF")
        .split(',')
        .filter_map(|pair| pair.split_once(':'))
        .filter(|(option, _)| {
            *option != "background_thread" || !cfg!(any(target_os = "macos", target_env = "musl"))
        })
}

// On Linux jemalloc takes over `malloc` too, so that only the source tells whether Rust's
// allocations reach it directly, as they must elsewhere.
#[test]
fn rust_allocates_from_jemalloc() {
    let mut lines = include_str!("../../src/bin/main.rs").lines();

    assert!(
        lines.any(|line| line == "#[global_allocator]"),
        "src/bin/main.rs has no #[global_allocator]"
    );
    assert_eq!(lines.next(), Some("static ALLOCATOR: Jemalloc = Jemalloc;"));
}
{%- endif %}
