//! The listener for the people on call, as the service's own binary has it.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use serial_test::serial;

use super::BINARY;

const TOKEN: &str = "a-token-for-these-tests";
const JSON: &str = "content-type: application/json\r\n";

/// The service with its listener; it ends when this is dropped.
pub struct Service {
    child: Child,
    listener: String,
    public: String,
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|err| panic!("{err}: {self:?}"))
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .to_string()
}

fn service(env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(BINARY);
    command
        .args(["--environment", "test", "start", "--no-banner"])
        .envs(env.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

impl Service {
    pub fn start(env: &[(&str, &str)]) -> Self {
        let listener = free_address();
        let public = free_address();
        let (_, port) = public.rsplit_once(':').expect("a port");
        let child = service(env)
            .args(["--port", port, "--binding", "127.0.0.1"])
            .env("MEMORY_ADMIN_BIND", &listener)
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the service's binary runs");
        let service = Self {
            child,
            listener,
            public,
        };
        let started = Instant::now();
        while TcpStream::connect(&service.public).is_err() {
            assert!(
                started.elapsed().as_secs() < 60,
                "the service does not answer"
            );
            thread::sleep(Duration::from_millis(50));
        }
        service
    }

    /// Asks the listener, with these further lines of the head and this body.
    pub fn ask(&self, method: &str, path: &str, lines: &str, body: &str) -> Answer {
        ask(&self.listener, method, path, lines, body)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "")
    }

    pub fn post(&self, path: &str) -> Answer {
        self.ask("POST", path, "", "")
    }

    pub fn public(&self, path: &str) -> Answer {
        ask(&self.public, "GET", path, "", "")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn ask(address: &str, method: &str, path: &str, lines: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-length: {length}\r\n{lines}\r\n{body}"
    )
    .expect("the request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the answer");
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let mut body = answer[end + 4..].to_vec();
    if head.contains("transfer-encoding: chunked") {
        body = unchunked(&body);
    }
    Answer {
        status: status.expect("a status"),
        head,
        body,
    }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let length = std::str::from_utf8(&body[..end]).expect("a length");
        let length = usize::from_str_radix(length, 16).expect("a length");
        whole.extend_from_slice(&body[end + 2..][..length]);
        body = &body[end + 2 + length + 2..];
        if length == 0 {
            break;
        }
    }
    whole
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

#[test]
#[serial]
fn only_the_token_lets_in() {
    let service = Service::start(&[("MEMORY_ADMIN_TOKEN", TOKEN)]);

    assert_eq!(
        service.ask("GET", "/memory", &bearer(TOKEN), "").status,
        200
    );
    for wrong in [String::new(), bearer("another-token-of-size"), bearer("")] {
        let answer = service.ask("GET", "/memory", &wrong, "");
        assert_eq!(answer.status, 401, "{wrong:?}");
        assert!(answer.head.contains("www-authenticate: bearer"));
        assert_eq!(answer.json()["error"], "unauthorized");
        assert!(!answer.text().contains(TOKEN));
    }
}

/// How a start ends that is refused.
fn refused(env: &[(&str, &str)]) -> String {
    let Output { status, stderr, .. } = service(env).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    assert!(!status.success(), "{stderr}");
    stderr
}

#[test]
#[serial]
fn other_machines_are_not_let_in_without_a_token() {
    let error = refused(&[("MEMORY_ADMIN_BIND", "0.0.0.0:0")]);
    assert!(error.contains("settings.memory.token is empty"), "{error}");

    let error = refused(&[
        ("MEMORY_ADMIN_BIND", "0.0.0.0:0"),
        ("MEMORY_ADMIN_TOKEN", "too-short"),
    ]);
    assert!(error.contains("settings.memory.token"), "{error}");
    assert!(!error.contains("too-short"), "{error}");
}

#[test]
#[serial]
fn what_is_refused_is_a_json_error_with_a_fitting_status() {
    let service = Service::start(&[]);
    let huge = [r#"{"dirty_decay_ms":"#, &"1".repeat(100_000), "}"].concat();

    for (method, path, lines, body, status) in [
        ("GET", "/", "", "", 404),
        ("GET", "/memory/purge", "", "", 405),
        ("POST", "/memory", "", "", 405),
        ("GET", "/memory/stats?format=xml", "", "", 400),
        ("PUT", "/memory/decay", JSON, "{", 400),
        ("PUT", "/memory/decay", JSON, "{}", 400),
        (
            "PUT",
            "/memory/decay",
            JSON,
            r#"{"dirty_decay_ms":-2}"#,
            400,
        ),
        (
            "PUT",
            "/memory/decay",
            JSON,
            r#"{"dirty_decay_ms":9000000000000000000}"#,
            400,
        ),
        (
            "PUT",
            "/memory/decay",
            JSON,
            r#"{"dirty_decay_ms":"1"}"#,
            422,
        ),
        ("PUT", "/memory/decay", JSON, r#"{"dirty":1}"#, 422),
        ("PUT", "/memory/decay", "", r#"{"dirty_decay_ms":1}"#, 415),
        ("PUT", "/memory/decay", JSON, &huge, 413),
        ("POST", "/memory/purge", "", &huge, 413),
    ] {
        let answer = service.ask(method, path, lines, body);
        assert_eq!(answer.status, status, "{method} {path} {body:.40}");
        assert!(answer.json()["error"].is_string(), "{answer:?}");
        assert!(answer.json()["description"].is_string(), "{answer:?}");
    }
    assert_eq!(service.get("/memory").status, 200);
}

#[test]
#[serial]
fn decay_times_change_while_the_service_runs() {
    let service = Service::start(&[]);
    let before = service.get("/memory/decay").json();

    let answer = service.ask("PUT", "/memory/decay", JSON, r#"{"dirty_decay_ms":123}"#);

    assert_eq!(answer.status, 200, "{answer:?}");
    let after = service.get("/memory/decay").json();
    assert_eq!(after, answer.json());
    assert_eq!(after["dirty_decay_ms"], 123);
    assert_eq!(after["muzzy_decay_ms"], before["muzzy_decay_ms"]);
    let stats = service.get("/memory/stats?format=json").json();
    let arenas = stats["jemalloc"]["stats.arenas"]
        .as_object()
        .expect("arenas");
    assert!(arenas.len() > 1);
    for (arena, stats) in arenas.iter().filter(|(name, _)| *name != "merged") {
        // Huge allocations have an arena whose times are its own.
        let time = stats["dirty_decay_ms"].as_i64();
        assert!(time == Some(123) || time == Some(0), "{arena}: {time:?}");
    }
}

#[test]
#[serial]
fn a_hundred_purges_at_once_do_not_stop_the_service() {
    let service = Service::start(&[]);

    let statuses = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                let status = service.post("/memory/purge").status;
                statuses.lock().expect("a lock").push(status);
            });
            scope.spawn(|| assert_eq!(service.public("/_ping").status, 200));
        }
    });

    let statuses = statuses.into_inner().expect("a lock");
    assert!(statuses.contains(&200), "{statuses:?}");
    assert!(
        statuses.iter().all(|status| [200, 409].contains(status)),
        "{statuses:?}"
    );
    let purged = service.post("/memory/purge").json();
    assert!(purged["returned_bytes"].is_u64(), "{purged}");
}
