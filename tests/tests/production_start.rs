//! Slow tier: a service in its production configuration.

use std::{fs, path::PathBuf, process::Command, sync::OnceLock};

use serde_json::{json, Value};
use template_tests::{Answers, Rendered, JWT_SECRET};

/// What a service requires in production.
const REQUIRED: [(&str, &str); 8] = [
    ("HOST", "https://example.com"),
    ("DATABASE_URL", "sqlite://production.sqlite?mode=rwc"),
    ("QUEUE_URL", "sqlite://queue.sqlite?mode=rwc"),
    ("JWT_SECRET", JWT_SECRET),
    ("MAILER_HOST", "localhost"),
    // Each of these would be something else in YAML.
    ("MAILER_USER", "'user"),
    ("MAILER_PASSWORD", "12345678"),
    ("MAILER_FROM", "\"O'Brien\" <svc@example.com>"),
];

/// Values that people may set, but that cannot work.
const INVALID: &[(&str, &[&str])] = &[
    ("LOG_LEVEL", &["", "INFO", "verbose", "info,debug", " warn"]),
    (
        "PORT",
        &["", "0", "65536", "-1", "5150 ", "0x50", "5_150", "http"],
    ),
    (
        "BINDING",
        &["", "0.0.0.0:5150", "http://localhost", "my host", "::1]"],
    ),
    (
        "HOST",
        &[
            "",
            "example.com",
            "https://example.com/",
            "https://example.com/app",
            "HTTPS://example.com",
            "https://example.com:443",
            "ftp://example.com",
            "https://user:hunter2@example.com",
            "https://exämple.com",
            "https://",
        ],
    ),
    (
        "CORS_ORIGIN",
        &[
            "",
            "*",
            "null",
            "https://a.example,",
            "https://a.example;https://b.example",
        ],
    ),
    ("BEHIND_PROXY", &["", "yes", "1", "True"]),
    (
        "JWT_SECRET",
        &[
            "",
            "changeme",
            "hunter2-hunter2-hunter2-hunter2-hunter2",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "c2hvcnQgc2VjcmV0",
        ],
    ),
    (
        "MAILER_HOST",
        &[
            "",
            "smtp.example.com:587",
            "smtps://smtp.example.com",
            "smtp example",
        ],
    ),
    ("MAILER_PORT", &["", "0", "587/tcp", "tcp://10.0.0.1:587"]),
    ("MAILER_USER", &["", "two\nlines"]),
    ("MAILER_PASSWORD", &["", "hunter2\thunter2"]),
    (
        "MAILER_FROM",
        &[
            "",
            "Example",
            "@example.com",
            "Example <no-reply>",
            "a@example.com, b@example.com",
        ],
    ),
    (
        "DATABASE_URL",
        &[
            "",
            "sqlite::memory:",
            "sqlite://",
            "postgres://svc:hunter2@db/svc",
            "production.sqlite",
            "sqlite://production.sqlite?mode=memory",
        ],
    ),
    ("DB_LOGGING", &["on"]),
    ("DB_CONNECT_TIMEOUT", &["0", "5s", "99"]),
    ("DB_IDLE_TIMEOUT", &["500", "-1"]),
    ("DB_MIN_CONNECTIONS", &["-1", "1001"]),
    ("DB_MAX_CONNECTIONS", &["0", "many"]),
    ("DB_AUTO_MIGRATE", &["no"]),
    (
        "QUEUE_URL",
        &["", "redis://:hunter2@redis", "sqlite::memory:"],
    ),
    ("MEMORY_ADMIN_BIND", &["localhost:5151", "5151", "0.0.0.0"]),
    (
        "MEMORY_ADMIN_TOKEN",
        &["hunter2", "hunter2 hunter2 hunter2"],
    ),
    ("MEMORY_BUDGET_PERCENT", &["0", "91", "45%"]),
    ("MEMORY_GUARD_PERCENT", &["101"]),
    ("REQUESTS_IN_FLIGHT", &["0", "-1"]),
    ("SHUTDOWN_DRAIN", &["-5", "5s"]),
    ("SHUTDOWN_TIMEOUT", &["", "3601"]),
];

/// Values that look odd, but work.
const UNUSUAL: &[(&str, &[&str])] = &[
    ("LOG_LEVEL", &["off", "trace", "error"]),
    ("BINDING", &["127.0.0.1", "localhost", "0.0.0.0"]),
    (
        "HOST",
        &[
            "https://[2001:db8::1]",
            "https://example.com:8443",
            "http://localhost:8080",
            "https://xn--exmple-cua.com",
            "https://192.0.2.1",
        ],
    ),
    (
        "CORS_ORIGIN",
        &[
            "https://a.example, https://b.example",
            "https://[2001:db8::1]:8443",
        ],
    ),
    ("BEHIND_PROXY", &["true", "false"]),
    (
        "MAILER_HOST",
        &[
            "2001:db8::1",
            "10.0.0.1",
            "SMTP.example.com",
            "mail_1.internal",
        ],
    ),
    ("MAILER_PORT", &["25", "2525"]),
    (
        "MAILER_USER",
        &[
            "user@example.com",
            "DOMAIN\\user",
            "\"quoted\"",
            "- no list",
            "käse",
            "  spaces  ",
        ],
    ),
    (
        "MAILER_PASSWORD",
        &[
            "it's",
            "100%",
            "# no comment",
            "{a: b}",
            "[a, b]",
            "a: b",
            "<%= x %>",
            "{{ x }}",
            "null",
            "~",
            "0x10",
            "*anchor",
            "$HOME `id`",
            "pä55wörd €",
        ],
    ),
    (
        "MAILER_FROM",
        &[
            "svc@example.com",
            "Käse GmbH <kaese@example.com>",
            "\"A, B\" <svc+tag@example.co.uk>",
        ],
    ),
    (
        "DATABASE_URL",
        &[
            "sqlite://with%20space.sqlite?mode=rwc",
            "sqlite://./with space.sqlite?mode=rwc",
            "sqlite://dätä.sqlite?mode=rwc",
            "sqlite://it's.sqlite?mode=rwc",
            "sqlite://100%25.sqlite?mode=rwc",
            "sqlite:relative.sqlite?mode=rwc",
        ],
    ),
    ("DB_CONNECT_TIMEOUT", &["100", "600000"]),
    ("DB_IDLE_TIMEOUT", &["10000"]),
    ("DB_MIN_CONNECTIONS", &["0", "5"]),
    ("DB_MAX_CONNECTIONS", &["1", "50"]),
    ("DB_AUTO_MIGRATE", &["true"]),
    (
        "QUEUE_URL",
        &[
            "sqlite://queue%20one.sqlite?mode=rwc",
            "sqlite://ü.sqlite?mode=rwc",
        ],
    ),
    ("MEMORY_ADMIN_TOKEN", &["", "!#$%&'*+-.^_`|~0123456789"]),
    ("MEMORY_BUDGET_PERCENT", &["1", "90"]),
    ("MEMORY_GUARD_PERCENT", &["0", "100"]),
    ("MEMORY_BLACK_BOX", &["", "a black box"]),
    ("REQUESTS_IN_FLIGHT", &["1", "1000000"]),
    ("SHUTDOWN_DRAIN", &["0"]),
    ("SHUTDOWN_TIMEOUT", &["0", "3600"]),
    ("HEARTBEAT_FILE", &["", "beat of the heart"]),
];

fn service() -> &'static (Rendered, PathBuf) {
    static SERVICE: OnceLock<(Rendered, PathBuf)> = OnceLock::new();
    SERVICE.get_or_init(|| {
        let service = Answers::new("svc")
            .with("background", "sqlite")
            .render()
            .expect("the answers render");
        let binary = service.build().expect("it builds");
        (service, binary)
    })
}

/// The error of a service that fails to start in production, in a directory of its own.
fn start_error(env: &[(&str, &str)]) -> String {
    let (service, binary) = service();
    let directory = tempfile::tempdir().expect("a directory");
    fs::create_dir(directory.path().join("config")).expect("a directory");
    let config = service.read("config/production.yaml");
    fs::write(directory.path().join("config/production.yaml"), config).expect("a file");
    let output = Command::new(binary)
        .args(["start", "--no-banner"])
        .current_dir(directory.path())
        .env_clear()
        .env("LOCO_ENV", "production")
        .envs(env.iter().copied())
        .output()
        .expect("it runs");
    assert!(!output.status.success(), "{env:?}");
    let left = fs::read_dir(directory.path()).expect("a directory").count();
    assert_eq!(
        left, 1,
        "something was written before the settings were checked"
    );
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The required variables, with these values added or replaced.
fn with<'a>(values: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut env = REQUIRED.to_vec();
    env.retain(|(name, _)| !values.iter().any(|(other, _)| other == name));
    env.extend(values);
    env
}

/// The values at index `n`, of each variable that has that many.
fn nth_values(
    n: usize,
    table: &[(&'static str, &[&'static str])],
) -> Vec<(&'static str, &'static str)> {
    let values = table.iter();
    values
        .filter_map(|(name, values)| Some((*name, *values.get(n)?)))
        .collect()
}

fn max_count(table: &[(&str, &[&str])]) -> usize {
    table
        .iter()
        .map(|(_, values)| values.len())
        .max()
        .unwrap_or_default()
}

fn count(table: &[(&str, &[&str])]) -> usize {
    table.iter().map(|(_, values)| values.len()).sum()
}

#[test]
fn invalid_values_are_all_reported_at_once_without_secrets() {
    assert!(count(INVALID) >= 60, "{}", count(INVALID));
    for n in 0..max_count(INVALID) {
        let invalid = nth_values(n, INVALID);
        let error = start_error(&with(&invalid));
        for (name, value) in &invalid {
            let is_named = error
                .lines()
                .any(|line| line.starts_with(&format!("{name} ")));
            assert!(is_named, "{name}={value:?} is accepted:\n{error}");
        }
        for secret in ["hunter2", "changeme", "c2hvcnQgc2VjcmV0"] {
            assert!(!error.contains(secret), "{error}");
        }
    }
}

#[test]
fn unusual_values_work() {
    assert!(count(UNUSUAL) >= 60, "{}", count(UNUSUAL));
    let (service, binary) = service();
    for n in 0..max_count(UNUSUAL) {
        let unusual = nth_values(n, UNUSUAL);
        let mut env = with(&unusual);
        env.push(("LOCO_ENV", "production"));
        let running = service.start(binary, &env).expect("it starts");
        running
            .get("/_readiness")
            .unwrap_or_else(|err| panic!("{err}: {unusual:?}"));
    }
}

#[test]
fn production_needs_its_secrets_and_answers_and_logs_as_it_should() {
    let (service, binary) = service();
    let env = REQUIRED;

    let error = start_error(&[]);
    for (name, _) in env {
        assert!(error.contains(&format!("{name} is missing")), "{error}");
    }
    let mut variables: Vec<(&str, &str)> = env.into_iter().collect();
    variables.extend([
        ("LOCO_ENV", "production"),
        ("BINDING", "localhost"),
        ("SHUTDOWN_DRAIN", "0"),
    ]);
    let mut running = service.start(binary, &variables).expect("it starts");
    let unknown = json!({ "email": "ann@example.com", "password": "correct horse" });
    let response = ureq::post(running.url("/api/auth/login"))
        .config()
        .http_status_as_error(false)
        .build()
        .header("origin", "https://example.com")
        .header("x-request-id", "request-1")
        .send_json(&unknown)
        .expect("a response");
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
    assert_eq!(allowed, None, "a page from elsewhere may not call the API");

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
