//! Slow tier: the memory profiles, in effect in a running service, kept in a build or missing from
//! it. Each profile builds its own jemalloc, which takes a minute.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use template_tests::{needs, options, profiles, target_dir, Answers, Rendered};

/// Services with the same profile are built one after another, as alternating would rebuild
/// jemalloc each time. The names of the tests, which determine their order, also keep the same
/// profiles together.
fn one_test_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lightweight() -> Answers {
    Answers::new("svc").with("starter", "lightweight")
}

fn render(answers: &Answers) -> Rendered {
    answers.render().expect("the answers render")
}

/// The line about memory in the log at start.
fn start_line(log: &str) -> &str {
    log.lines()
        .find(|line| line.contains("allocator="))
        .unwrap_or_else(|| panic!("no line about memory:\n{log}"))
}

/// The warnings about memory; Loco logs others in development.
fn warnings(log: &str) -> impl Iterator<Item = &str> {
    log.lines()
        .filter(|line| line.contains(" WARN ") && line.contains("memory"))
}

/// Every profile but two: `system` is built by `smoke`, and `custom` below.
#[test]
fn each_profile_is_in_effect_in_the_running_service() {
    let _turn = one_test_at_a_time();
    for profile in profiles::all() {
        let Some(options) = &profile.options else {
            continue;
        };
        let service = render(&lightweight().with("memory_profile", &profile.name));
        let binary = service.build().expect("it builds");

        let mut running = service.start(&binary, &[]).expect("it starts");
        let log = running.log();
        let line = start_line(&log);
        assert!(
            line.contains(&format!("profile=\"{}\"", profile.name)),
            "{line}"
        );
        for option in options.split(',') {
            assert!(line.contains(option), "{option} is not in effect: {line}");
        }
        assert!(!line.contains("overridden"), "{line}");
        assert_eq!(warnings(&log).count(), 0, "{log}");
        drop(running);

        let mut running = service
            .start(&binary, &[("MALLOC_CONF", "dirty_decay_ms:123")])
            .expect("it starts");
        let log = running.log();
        let line = start_line(&log);
        assert!(
            line.contains("dirty_decay_ms:123") && line.contains("dirty_decay_ms by MALLOC_CONF"),
            "{line}"
        );
        assert_eq!(warnings(&log).count(), 0, "{log}");
    }
}

/// A service with custom options, one of which asks for more than jemalloc gives, and its binary;
/// built once.
fn custom() -> &'static (Rendered, PathBuf) {
    static SERVICE: OnceLock<(Rendered, PathBuf)> = OnceLock::new();
    SERVICE.get_or_init(|| {
        let service = render(&lightweight().with("memory_profile", "custom").with(
            "malloc_conf",
            "dirty_decay_ms:700,slab_sizes:128-4096:16,tcache_max:65536",
        ));
        let binary = service.build().expect("it builds");
        (service, binary)
    })
}

#[test]
fn malloc_conf_warns_of_an_option_without_effect_and_aborts_on_a_typo() {
    let _turn = one_test_at_a_time();
    let (service, binary) = custom();

    let mut running = service.start(binary, &[]).expect("it starts");
    let log = running.log();
    let line = start_line(&log);
    assert!(
        line.contains("profile=\"custom\"") && line.contains("dirty_decay_ms:700"),
        "{line}"
    );
    let warnings: Vec<_> = warnings(&log).collect();
    let [warning] = warnings[..] else {
        panic!("not one warning:\n{log}");
    };
    assert!(
        warning.contains("tcache_max is 32768, not 65536 as set by the profile"),
        "{warning}"
    );
    drop(running);

    let output = Command::new(binary)
        .args(["task", "memory"])
        .current_dir(service.root())
        .env("MALLOC_CONF", "typo:1")
        .output()
        .expect("it runs");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(message.contains("Invalid conf pair: typo:1"), "{message}");
}

#[test]
fn malloc_conf_accepts_exactly_the_options_that_jemalloc_accepts() {
    let _turn = one_test_at_a_time();
    let (service, binary) = custom();

    assert_eq!(
        options::accepted_by_hook("OPTIONS").expect("the hook's table"),
        options::accepted_by_jemalloc(service, binary).expect("jemalloc's parser")
    );
}

/// The output of Cargo for a build that fails.
fn build_error(service: &Rendered, args: &[&str]) -> String {
    service
        .run(args)
        .expect_err("the profile is missing")
        .to_string()
}

#[test]
fn without_the_profile_a_build_fails_with_a_remedy() {
    let _turn = one_test_at_a_time();
    let service = render(&lightweight());

    // From a directory where Cargo does not see .cargo/config.toml,
    let manifest = service.root().join("Cargo.toml").display().to_string();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let error = build_error(
        &Rendered::at(elsewhere.path().to_path_buf()),
        &["build", "--manifest-path", &manifest],
    );
    assert!(
        error
            .contains("the memory profile is missing (MEMORY_PROFILE): build in the service's own"),
        "{error}"
    );

    // from a workspace around the service,
    let workspace = tempfile::tempdir().expect("a directory");
    let file = |path: &str| workspace.path().join(path);
    let manifest = service.read("Cargo.toml");
    let (_, profiles) = manifest.split_once("[profile").expect("build profiles");
    fs::write(
        file("Cargo.toml"),
        format!("[workspace]\nresolver = \"2\"\nmembers = []\n\n[profile{profiles}"),
    )
    .expect("a manifest");
    fs::write(file("Cargo.lock"), service.read("Cargo.lock")).expect("a lock file");
    let member = lightweight()
        .render_into(workspace.path())
        .expect("it renders");
    let root = Rendered::at(workspace.path().to_path_buf());
    let error = build_error(&root, &["build"]);
    assert!(error.contains("the memory profile is missing"), "{error}");

    // and without the line that has the options.
    let config = service.root().join(".cargo/config.toml");
    let text = fs::read_to_string(&config).expect("the configuration");
    let without: String = text
        .lines()
        .filter(|line| !line.starts_with("JEMALLOC_SYS_WITH_MALLOC_CONF"))
        .flat_map(|line| [line, "\n"])
        .collect();
    fs::write(&config, without).expect("the configuration");
    let error = build_error(&service, &["test"]);
    assert!(
        error.contains("the memory profile is missing (JEMALLOC_SYS_WITH_MALLOC_CONF)"),
        "{error}"
    );

    // The remedies that the error names, in the workspace.
    Rendered::at(member.clone())
        .run(&["build"])
        .expect("in its folder it builds");
    fs::create_dir(file(".cargo")).expect("a directory");
    fs::copy(
        member.join(".cargo/config.toml"),
        file(".cargo/config.toml"),
    )
    .expect("a copy");
    root.run(&["build"])
        .expect("with its [env] the root builds");
}

#[test]
fn without_losing_the_profile_a_variable_can_be_set_in_the_shell() {
    let _turn = one_test_at_a_time();
    let service = render(&lightweight());
    let variable = ("JEMALLOC_SYS_WITH_MALLOC_CONF", "tcache:false");

    let report = service
        .run_with(&["loco", "task", "memory"], &[variable])
        .expect("it builds");

    assert!(report.contains("profile     lean"), "{report}");
    assert!(!report.contains("NOT IN EFFECT"), "{report}");
}

/// The service's report, its log at start and the output of `cargo loco doctor`, when built with
/// these variables.
fn reports_when_built_with(env: &[(&str, &str)]) -> [String; 3] {
    let service = render(&lightweight());
    let report = service
        .run_with(&["loco", "task", "memory"], env)
        .expect("it builds");
    let name = format!("svc-cli{}", std::env::consts::EXE_SUFFIX);
    let binary = service.root().join(&name);
    fs::copy(target_dir().join("debug").join(&name), &binary).expect("the binary");
    let log = service.start(&binary, &[]).expect("it starts").log();
    let doctor = service.run_with(&["loco", "doctor"], env);
    [report, log, doctor.unwrap_or_else(|err| err.to_string())]
}

#[test]
#[ignore = "builds jemalloc once more: the workflow on GitHub runs it, with --ignored"]
fn a_variable_of_the_target_that_replaces_the_profile_is_named() {
    let _turn = one_test_at_a_time();
    let variable = "X86_64_UNKNOWN_LINUX_GNU_JEMALLOC_SYS_WITH_MALLOC_CONF";
    if !cfg!(all(
        target_arch = "x86_64",
        target_os = "linux",
        target_env = "gnu"
    )) {
        return;
    }

    for report in reports_when_built_with(&[(variable, "narenas:2")]) {
        for option in [
            "dirty_decay_ms is 10000, not 2000 as set by the profile",
            "narenas was built into jemalloc as 2",
        ] {
            assert!(report.contains(option), "{option}: {report}");
        }
    }
}

#[test]
#[ignore = "needs another jemalloc: the workflow on GitHub runs it, with --ignored"]
fn another_jemalloc_in_place_of_the_services_own_is_named() {
    let _turn = one_test_at_a_time();
    let library = "/usr/lib/x86_64-linux-gnu/libjemalloc.so";
    if !needs::file(library) {
        return;
    }

    for report in reports_when_built_with(&[("JEMALLOC_OVERRIDE", library)]) {
        assert!(report.contains(library), "{report}");
        assert!(report.contains("dirty_decay_ms is 10000"), "{report}");
    }
}
