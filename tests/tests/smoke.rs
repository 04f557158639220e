//! Slow tier: services are built, tested, started and asked over HTTP. All share one build
//! directory, `tests/target/services`.

use std::{
    fs,
    net::TcpStream,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{json, Value};
use template_tests::{options, profiles, Answers, Rendered, Running, CLIPPY};

fn render(answers: &Answers) -> Rendered {
    answers.render().expect("the answers render")
}

/// The template's lock file decides each version: none that it does not hold is used.
fn assert_versions_are_the_tested_ones(service: &Rendered) {
    let packages = |text: &str| -> Vec<(String, String)> {
        let lock: toml::Table = toml::from_str(text).expect("a lock file");
        lock["package"]
            .as_array()
            .expect("packages")
            .iter()
            .filter(|package| package.get("source").is_some())
            .map(|package| {
                let text = |key: &str| package[key].as_str().expect("text").to_string();
                (text("name"), text("version"))
            })
            .collect()
    };
    let tested = fs::read_to_string(template_tests::repository().join("template/Cargo.lock"))
        .expect("the lock file");
    let tested = packages(&tested);
    for package in packages(&service.read("Cargo.lock")) {
        assert!(
            tested.contains(&package),
            "{package:?} is not in template/Cargo.lock"
        );
    }
}

fn post(service: &Running, path: &str, body: &Value) -> Value {
    ureq::post(service.url(path))
        .send_json(body)
        .expect("2xx")
        .body_mut()
        .read_json()
        .expect("JSON")
}

fn register_and_log_in(service: &Running) {
    let user = json!({ "name": "New User", "email": "new@example.com", "password": "12341234" });
    post(service, "/api/auth/register", &user);
    let login = post(service, "/api/auth/login", &user);
    let token = login["token"].as_str().expect("a token");

    let current: Value = ureq::get(service.url("/api/auth/current"))
        .header("authorization", format!("Bearer {token}"))
        .call()
        .expect("2xx")
        .body_mut()
        .read_json()
        .expect("JSON");

    assert_eq!(current["email"], "new@example.com");
    assert_eq!(current["pid"], login["pid"]);
}

#[test]
fn a_rest_api_on_sqlite_is_clean_tested_and_serves_users() {
    let service = render(&Answers::new("svc"));
    service
        .run(&["fmt", "--all", "--check"])
        .expect("it is formatted");
    service.run(&["test"]).expect("its own tests pass");
    assert_versions_are_the_tested_ones(&service);

    let binary = service.build().expect("it builds");
    // Without decay: what is returned is returned because the service has fallen idle.
    let mut running = service
        .start(&binary, &[("MALLOC_CONF", "dirty_decay_ms:-1")])
        .expect("it starts");
    register_and_log_in(&running);
    assert_memory_is_returned(&mut running);
    drop(running);

    service.run(&CLIPPY).expect("clippy is content");
}

/// Each password takes 19 MiB (Argon2's default), which the service does not need afterwards.
fn assert_memory_is_returned(service: &mut Running) {
    let started = Instant::now();
    let mut log = String::new();
    while started.elapsed() < Duration::from_secs(20) {
        log = service.log();
        let returned = log
            .lines()
            .filter_map(|line| line.split_once("idle: unused memory is returned"))
            .filter_map(|(_, fields)| fields.split_once("returned_bytes="))
            .filter_map(|(_, bytes)| bytes.split_whitespace().next()?.parse::<u64>().ok());
        if returned.max() > Some(15 << 20) {
            return;
        }
    }
    panic!("the idle service keeps its memory:\n{log}");
}

#[test]
fn a_rest_api_on_postgres_is_tested_and_serves_users() {
    if TcpStream::connect("127.0.0.1:5432").is_err() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI has no PostgreSQL on 127.0.0.1:5432"
        );
        eprintln!("\n\nSKIPPED: there is no PostgreSQL on 127.0.0.1:5432\n\n");
        return;
    }
    let url = std::env::var("TEST_DATABASE_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/test".to_string());
    let env = [("DATABASE_URL", url.as_str())];
    let service = render(
        &Answers::new("svc")
            .with("database", "postgres")
            .with("background", "blocking"),
    );

    service
        .run_with(&["test"], &env)
        .expect("its own tests pass");
    assert_versions_are_the_tested_ones(&service);

    let binary = service.build().expect("it builds");
    let running = service.start(&binary, &env).expect("it starts");
    post(
        &running,
        "/api/auth/forgot",
        &json!({ "email": "nobody@example.com" }),
    );
}

#[test]
fn a_lightweight_service_is_clean_and_tested_without_jemalloc_too() {
    let service = render(
        &Answers::new("svc")
            .with("starter", "lightweight")
            .with("memory_profile", "system"),
    );
    service.run(&["test"]).expect("its own tests pass");
    service.run(&CLIPPY).expect("clippy is content");
    let tree = service.run(&["tree", "--edges", "all"]).expect("a tree");
    assert!(!tree.contains("jemalloc"), "{tree}");

    let binary = service.build().expect("it builds");
    let mut running = service.start(&binary, &[]).expect("it starts");
    assert_eq!(running.get("/api").expect("2xx"), r#"{"app_name":"loco"}"#);
    let log = running.log();
    assert!(log.contains(r#"allocator="system""#), "{log}");
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

#[test]
fn each_profile_is_in_effect_in_the_running_service() {
    for profile in profiles::all() {
        let answers = Answers::new("svc")
            .with("starter", "lightweight")
            .with("memory_profile", &profile.name);
        let (answers, options) = match (profile.name.as_str(), &profile.options) {
            ("custom", _) => (
                answers.with("malloc_conf", "dirty_decay_ms:700,slab_sizes:128-4096:16"),
                "dirty_decay_ms:700".to_string(),
            ),
            (_, Some(options)) => (answers, options.clone()),
            (_, None) => continue, // `system` has its own test
        };
        let service = render(&answers);
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

/// A service whose profile asks for more than jemalloc gives, and its binary.
fn with_a_value_out_of_range() -> (Rendered, PathBuf) {
    let answers = Answers::new("svc")
        .with("starter", "lightweight")
        .with("memory_profile", "custom")
        .with("malloc_conf", "tcache_max:65536");
    let service = render(&answers);
    let binary = service.build().expect("it builds");
    (service, binary)
}

#[test]
fn an_option_that_has_no_effect_is_a_warning_and_a_typing_error_stops_the_start() {
    let (service, binary) = with_a_value_out_of_range();

    let mut running = service.start(&binary, &[]).expect("it starts");
    let log = running.log();
    let warning = warnings(&log)
        .next()
        .unwrap_or_else(|| panic!("no warning:\n{log}"));
    assert!(
        warning.contains("tcache_max is 32768, and not 65536 as set by the profile"),
        "{warning}"
    );
    drop(running);

    let output = Command::new(&binary)
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
fn a_build_that_would_lose_the_profile_stops_with_a_remedy() {
    let service = render(&Answers::new("svc").with("starter", "lightweight"));
    let manifest = service.root().join("Cargo.toml").display().to_string();
    let elsewhere = tempfile::tempdir().expect("a directory");

    let error = Rendered::at(elsewhere.path().to_path_buf())
        .run(&["build", "--manifest-path", &manifest])
        .expect_err("the profile is not found from there")
        .to_string();
    assert!(
        error
            .contains("the memory profile is missing (MEMORY_PROFILE): build in the service's own"),
        "{error}"
    );

    let config = service.root().join(".cargo/config.toml");
    let text = fs::read_to_string(&config).expect("the configuration");
    let without: String = text
        .lines()
        .filter(|line| !line.starts_with("JEMALLOC_SYS_WITH_MALLOC_CONF"))
        .flat_map(|line| [line, "\n"])
        .collect();
    fs::write(&config, without).expect("the configuration");
    let error = service
        .run(&["test"])
        .expect_err("the options are missing")
        .to_string();
    assert!(
        error.contains("the memory profile is missing (JEMALLOC_SYS_WITH_MALLOC_CONF)"),
        "{error}"
    );
}

#[test]
fn built_from_a_workspace_the_profile_is_kept_or_missed() {
    let workspace = tempfile::tempdir().expect("a directory");
    let file = |path: &str| workspace.path().join(path);
    let standalone = render(&Answers::new("svc").with("starter", "lightweight"));
    let manifest = standalone.read("Cargo.toml");
    let (_, profiles) = manifest.split_once("[profile").expect("build profiles");
    fs::write(
        file("Cargo.toml"),
        format!("[workspace]\nresolver = \"2\"\nmembers = []\n\n[profile{profiles}"),
    )
    .expect("a manifest");
    fs::write(file("Cargo.lock"), standalone.read("Cargo.lock")).expect("a lock file");
    let member = Answers::new("svc")
        .with("starter", "lightweight")
        .render_into(workspace.path())
        .expect("it renders");
    let root = Rendered::at(workspace.path().to_path_buf());

    let error = root
        .run(&["build"])
        .expect_err("Cargo does not see the member's .cargo/config.toml")
        .to_string();
    assert!(error.contains("the memory profile is missing"), "{error}");

    let service = Rendered::at(member.clone());
    service.run(&["build"]).expect("in its folder it builds");

    // The remedy that the error names.
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
fn malloc_conf_takes_just_the_options_that_jemalloc_takes() {
    let (service, binary) = with_a_value_out_of_range();

    assert_eq!(
        options::accepted("OPTIONS").expect("the hook's table"),
        options::taken(&service, &binary).expect("jemalloc's parser")
    );
}
