//! Slow tier: services are built, tested, started and used over HTTP. All share one build
//! directory, `tests/target/services`.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::{json, Value};
use template_tests::{needs, Answers, Rendered, Running, CLIPPY};

fn render(answers: &Answers) -> Rendered {
    answers.render().expect("the answers render")
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
    let user =
        json!({ "name": "New User", "email": "new@example.com", "password": "correct horse" });
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

/// The commands for users in README.md, as written except for the port.
fn assert_documented_commands_work(service: &Rendered, running: &Running) {
    let readme = service.read("README.md");
    let (_, commands) = readme.split_once("## Users").expect("the section");
    let (_, commands) = commands.split_once("```sh\n").expect("commands");
    let (commands, _) = commands.split_once("```").expect("their end");
    assert_eq!(commands.matches("curl ").count(), 4, "{commands}");
    let script = commands.replace("http://localhost:5150", &running.url(""));

    let output = Command::new("bash")
        .args(["-e", "-o", "pipefail", "-c", &script])
        .output()
        .expect("bash runs");

    let responses = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{responses}");
    assert!(
        responses.contains(r#""email":"ann@example.com""#),
        "{responses}"
    );
}

/// A mailed link is as good as a login, and logs are read by more people than mails.
fn assert_tokens_are_not_logged(running: &mut Running) {
    for path in ["verify", "magic-link"] {
        ureq::post(running.url(&format!("/api/auth/{path}/a-token-of-a-mail")))
            .send_empty()
            .expect_err("the token is invalid");
    }

    let log = running.log();
    assert!(log.contains("/api/auth/verify/{token}"), "{log}");
    assert!(log.contains("/api/auth/magic-link/{token}"), "{log}");
    assert!(!log.contains("a-token-of-a-mail"), "{log}");
}

/// 60 attempts per minute: the next one is refused, with the time to wait.
fn assert_attempts_are_limited(running: &Running) {
    let unknown = json!({ "email": "nobody@example.com" });
    let attempt = || {
        ureq::post(running.url("/api/auth/forgot"))
            .config()
            .http_status_as_error(false)
            .build()
            .send_json(&unknown)
            .expect("a response")
    };
    let refused = (0..120)
        .map(|_| attempt())
        .find(|response| response.status() != 200);
    let refused = refused.expect("a limit");
    assert_eq!(refused.status(), 429);
    let wait = refused.headers()["retry-after"].to_str().expect("text");
    assert!((1..=60).contains(&wait.parse().expect("seconds")), "{wait}");
}

#[test]
fn a_rest_api_on_sqlite_is_clean_tested_and_serves_users() {
    let service = render(&Answers::new("svc"));
    service
        .run(&["fmt", "--all", "--check"])
        .expect("it is formatted");
    service
        .run(&["test", "--locked"])
        .expect("its own tests pass");

    let binary = service.build().expect("it builds");
    // Without decay, so that memory is returned only because the service goes idle.
    let mut running = service
        .start(&binary, &[("MALLOC_CONF", "dirty_decay_ms:-1")])
        .expect("it starts");
    register_and_log_in(&running);
    assert_documented_commands_work(&service, &running);
    assert_tokens_are_not_logged(&mut running);
    assert_memory_is_returned(&mut running);
    assert_attempts_are_limited(&running);
    drop(running);

    service.run(&CLIPPY).expect("clippy passes");
}

/// Hashing a password takes 19 MiB (Argon2's default), which the service does not need afterwards.
fn assert_memory_is_returned(service: &mut Running) {
    let status = format!("/proc/{}/status", service.pid());
    let kibibytes = |field: &str| -> u64 {
        let status = fs::read_to_string(&status).expect("the process's status");
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let figure = line.expect("a figure").trim().trim_end_matches(" kB");
        figure.parse().expect("a number")
    };
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        if kibibytes("VmHWM:") - kibibytes("VmRSS:") > 15 << 10 {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("the idle service keeps its memory:\n{}", service.log());
}

/// Drops everything in a database.
fn empty(url: &str) {
    let status = Command::new("psql")
        .args(["--quiet", url, "--command", "DROP SCHEMA public CASCADE"])
        .args(["--command", "CREATE SCHEMA public"])
        .status()
        .expect("psql runs");
    assert!(status.success());
}

#[test]
fn a_rest_api_on_postgres_is_tested_and_serves_users() {
    let Some(url) = needs::postgres() else {
        return;
    };
    if !needs::program("psql") {
        return;
    }
    let env = [
        ("TEST_DATABASE_URL", url.as_str()),
        // A developer may have exported this; tests do not touch it.
        (
            "DATABASE_URL",
            "postgres://postgres@127.0.0.1:5432/precious",
        ),
    ];
    let service = render(
        &Answers::new("svc")
            .with("database", "postgres")
            .with("background", "blocking"),
    );

    service
        .run_with(&["test", "--locked"], &env)
        .expect("its own tests pass");

    let binary = service.build().expect("it builds");
    empty(&url);
    let start = || {
        let running = service.start(&binary, &[("DATABASE_URL", &url)]);
        running.expect("it starts")
    };
    // All at once: one of them creates the tables.
    let running = thread::scope(|scope| {
        let starting: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
        let started = starting.into_iter().map(|one| one.join().expect("it runs"));
        started.collect::<Vec<Running>>()
    });
    post(
        &running[0],
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
    service
        .run(&["test", "--locked"])
        .expect("its own tests pass");
    service.run(&CLIPPY).expect("clippy passes");
    let tree = service.run(&["tree", "--edges", "all"]).expect("a tree");
    assert!(!tree.contains("jemalloc"), "{tree}");

    let binary = service.build().expect("it builds");
    let mut running = service.start(&binary, &[]).expect("it starts");
    assert_eq!(running.get("/api").expect("2xx"), r#"{"app_name":"loco"}"#);
    let log = running.log();
    assert!(log.contains(r#"allocator="system""#), "{log}");
}
