//! The memory crate on its own, as it is in the template: with each feature alone, with all of
//! them, and with none.

use std::{fs, process::Command};

use tempfile::TempDir;
use template_tests::{copy_template, target_dir, Answers, CLIPPY};

/// The features that can be used alone.
const FEATURES: [&str; 9] = [
    "",
    "jemalloc",
    "idle",
    "metrics",
    "heap-profiling",
    "with-db",
    "db-sqlite",
    "redis-queue",
    "traces",
];

/// A copy with the dependency versions that services have.
fn memory_crate() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let template = copy_template(directory.path()).join("template");
    let service = Answers::new("svc").render().expect("the answers render");
    let lock = service.read("Cargo.lock");
    fs::write(template.join("memory/Cargo.lock"), lock).expect("a lock file");
    directory
}

fn cargo(directory: &TempDir, args: &[&str]) {
    cargo_with_env(directory, args, &[]);
}

fn cargo_with_env(directory: &TempDir, args: &[&str], env: &[(&str, &str)]) {
    let output = Command::new("cargo")
        .args(args)
        .current_dir(directory.path().join("template/memory"))
        .env("CARGO_TARGET_DIR", target_dir())
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .envs(env.iter().copied())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{args:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn it_is_formatted_clean_and_passes_its_tests_with_all_features() {
    let directory = memory_crate();
    cargo(&directory, &["fmt", "--check"]);
    let mut clippy = CLIPPY.to_vec();
    clippy.insert(1, "--all-features");
    cargo(&directory, &clippy);
    cargo(&directory, &["test", "--all-features"]);
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn it_is_clean_and_passes_its_tests_with_each_feature_alone() {
    let directory = memory_crate();
    for feature in FEATURES {
        let mut clippy = CLIPPY.to_vec();
        clippy.splice(1..1, ["--features", feature]);
        cargo(&directory, &clippy);
        cargo(&directory, &["test", "--features", feature]);
    }
}

/// As on arm64. jemalloc's pages may be larger than the machine's.
#[test]
#[ignore = "builds jemalloc once more: the workflow on GitHub runs it, with --ignored"]
fn live_memory_is_right_with_pages_of_64_kib() {
    let directory = memory_crate();
    let env = [("JEMALLOC_SYS_WITH_LG_PAGE", "16")];
    cargo_with_env(&directory, &["test", "--all-features", "live"], &env);
}
