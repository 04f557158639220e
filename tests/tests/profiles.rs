//! Slow tier: the memory profiles, in effect in a running service, kept in a build or missed by it.
//! Each profile is a jemalloc of its own, which takes a minute to build.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use template_tests::{options, profiles, Answers, Rendered};

/// Services of the same profile are built one after the other: in turns, each would build its
/// jemalloc again. The tests' names, by which they are run, keep the same profiles together too.
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

/// What the log says of memory at start.
fn start_line(log: &str) -> &str {
    log.lines()
        .find(|line| line.contains("allocator="))
        .unwrap_or_else(|| panic!("no line about memory:\n{log}"))
}

/// The warnings about memory; Loco has some of its own in development.
fn warnings(log: &str) -> impl Iterator<Item = &str> {
    log.lines()
        .filter(|line| line.contains(" WARN ") && line.contains("memory"))
}

/// Each profile but two: `system` is built by `smoke`, and `custom` below.
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

/// A service with options of one's own, of which one asks for more than jemalloc gives, and its
/// binary; built once.
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
fn malloc_conf_warns_of_an_option_without_effect_and_stops_at_a_typing_error() {
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
        warning.contains("tcache_max is 32768, and not 65536 as set by the profile"),
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
fn malloc_conf_takes_just_the_options_that_jemalloc_takes() {
    let _turn = one_test_at_a_time();
    let (service, binary) = custom();

    assert_eq!(
        options::accepted("OPTIONS").expect("the hook's table"),
        options::taken(service, binary).expect("jemalloc's parser")
    );
}

/// What Cargo says of a build that fails.
fn error_of(service: &Rendered, args: &[&str]) -> String {
    service
        .run(args)
        .expect_err("the profile is missing")
        .to_string()
}

#[test]
fn without_the_profile_a_build_stops_with_a_remedy() {
    let _turn = one_test_at_a_time();
    let service = render(&lightweight());

    // From a directory where Cargo does not see .cargo/config.toml,
    let manifest = service.root().join("Cargo.toml").display().to_string();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let error = error_of(
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
    let error = error_of(&root, &["build"]);
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
    let error = error_of(&service, &["test"]);
    assert!(
        error.contains("the memory profile is missing (JEMALLOC_SYS_WITH_MALLOC_CONF)"),
        "{error}"
    );

    // The remedy that the error names, in the workspace.
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
