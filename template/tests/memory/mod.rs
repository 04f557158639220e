//! Checks the memory profile of the service's binary.

use std::process::Command;

use serial_test::serial;

const BINARY: &str = env!("CARGO_BIN_EXE_{{crate_name}}-cli");

/// The output of `cargo loco task memory`.
fn report() -> String {
    let output = Command::new(BINARY)
        .args(["--environment", "test", "task", "memory"])
        .output()
        .expect("the service's binary runs");
    assert!(
        output.status.success(),
        "the memory task failed: {}",
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
