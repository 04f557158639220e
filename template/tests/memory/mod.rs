//! The memory of the service's own binary, as it runs.

use std::process::Command;

use serial_test::serial;

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
fn the_memory_profile_is_in_effect() {
    let report = report();

    let expected = match option_env!("MEMORY_PROFILE") {
        Some(profile) if !cfg!(target_env = "msvc") => format!("\nprofile     {profile}\n"),
        _ => "allocator   system".to_string(),
    };
    assert!(report.contains(&expected), "{report}");
    assert!(!report.contains("NOT IN EFFECT"), "{report}");
    assert!(report.contains("\nrss "), "{report}");
}
