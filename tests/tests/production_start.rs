//! Slow tier: a service in its production configuration.

use std::{path::Path, process::Command};

use serde_json::{json, Value};
use template_tests::{Answers, Rendered, JWT_SECRET};

/// Starts the service in production, which fails: what it says.
fn error_of(service: &Rendered, binary: &Path, env: &[(&str, &str)]) -> String {
    let output = Command::new(binary)
        .args(["start", "--no-banner"])
        .current_dir(service.root())
        .env_clear()
        .env("LOCO_ENV", "production")
        .envs(env.iter().copied())
        .output()
        .expect("it runs");
    assert!(!output.status.success(), "{env:?}");
    assert!(
        !service.has("production.sqlite"),
        "the database is touched before the settings are checked"
    );
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn production_needs_its_secrets_and_answers_and_logs_as_it_should() {
    let service = Answers::new("svc")
        .with("background", "sqlite")
        .render()
        .expect("the answers render");
    let binary = service.build().expect("it builds");
    let env = [
        ("HOST", "https://example.com"),
        ("DATABASE_URL", "sqlite://production.sqlite?mode=rwc"),
        ("QUEUE_URL", "sqlite://queue.sqlite?mode=rwc"),
        ("JWT_SECRET", JWT_SECRET),
        ("MAILER_HOST", "localhost"),
        // Each would be something else in YAML.
        ("MAILER_USER", "'user"),
        ("MAILER_PASSWORD", "12345678"),
        ("MAILER_FROM", "\"O'Brien\" <svc@example.com>"),
    ];

    let error = error_of(&service, &binary, &[]);
    for (name, _) in env {
        assert!(error.contains(&format!("{name} is missing")), "{error}");
    }
    let mut wrong = env;
    wrong[1].1 = "postgres://svc:hunter2@localhost/svc";
    wrong[3].1 = "changeme";
    let error = error_of(&service, &binary, &wrong);
    assert!(error.contains("DATABASE_URL must be"), "{error}");
    assert!(error.contains("JWT_SECRET must be"), "{error}");
    assert!(
        !error.contains("hunter2") && !error.contains("changeme"),
        "{error}"
    );

    let mut variables: Vec<(&str, &str)> = env.into_iter().collect();
    variables.extend([
        ("LOCO_ENV", "production"),
        ("BINDING", "localhost"),
        ("SHUTDOWN_DRAIN", "0"),
    ]);
    let mut running = service.start(&binary, &variables).expect("it starts");
    let unknown = json!({ "email": "ann@example.com", "password": "correct horse" });
    let response = ureq::post(running.url("/api/auth/login"))
        .config()
        .http_status_as_error(false)
        .build()
        .header("origin", "https://example.com")
        .header("x-request-id", "request-1")
        .send_json(&unknown)
        .expect("an answer");
    assert_eq!(response.status(), 401);
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .map(|value| value.to_str().expect("text").to_string())
    };
    assert_eq!(header("x-request-id").as_deref(), Some("request-1"));
    assert_eq!(
        header("access-control-allow-origin").as_deref(),
        Some("https://example.com")
    );
    assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
    assert!(header("strict-transport-security").is_some());
    assert_eq!(header("x-powered-by"), None);

    let foreign = ureq::get(running.url("/_ping"))
        .header("origin", "https://elsewhere.example")
        .call()
        .expect("2xx");
    let allowed = foreign.headers().get("access-control-allow-origin");
    assert_eq!(allowed, None, "a page from elsewhere may not call");

    let large = vec![b' '; 2_100_000];
    let err = ureq::post(running.url("/api/auth/login"))
        .header("content-type", "application/json")
        .send(&large)
        .expect_err("too large");
    assert!(err.to_string().contains("413"), "{err}");

    let log = running.log();
    let entries: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|err| panic!("{err}: {line}")))
        .collect();
    assert!(
        entries
            .iter()
            .any(|entry| entry["span"]["request_id"] == "request-1"),
        "no request id:\n{log}"
    );
}
