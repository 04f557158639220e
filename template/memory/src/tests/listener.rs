//! The memory listener, over real connections.

use std::{
    net::SocketAddr,
    sync::{Arc, Barrier, Mutex},
};

use loco_rs::{app::AppContext, prelude::*};
use serde_json::json;
use serial_test::serial;

use super::{
    application::context,
    http::{free_address, send, send_to_host, Response},
};
use crate::MemoryInitializer;

const TOKEN: &str = "a-token-for-these-tests";

/// A listener that runs until the test's runtime ends.
pub struct Listener(SocketAddr);

impl Listener {
    pub async fn start(token: &str) -> Self {
        Self::start_in(token, |_| {}).await
    }

    /// Starts with a modified context.
    pub async fn start_in(token: &str, change: impl FnOnce(&mut AppContext)) -> Self {
        let address = free_address();
        let mut ctx = context(json!({
            "idle": { "purge": false },
            "memory": { "bind": address.to_string(), "token": token },
        }))
        .await;
        change(&mut ctx);
        MemoryInitializer
            .before_run(&ctx)
            .await
            .expect("the settings are valid");
        Self(address)
    }

    pub fn send(&self, method: &str, path: &str, lines: &str, body: &str) -> Response {
        send(self.0, method, path, lines, body)
    }

    fn send_to_host(
        &self,
        host: &str,
        method: &str,
        path: &str,
        lines: &str,
        body: &str,
    ) -> Response {
        send_to_host(self.0, host, method, path, lines, body)
    }

    pub fn get(&self, path: &str) -> Response {
        self.send("GET", path, "", "")
    }

    #[cfg(feature = "jemalloc")]
    pub fn post(&self, path: &str) -> Response {
        self.send("POST", path, "", "")
    }
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn only_the_token_authorizes() {
    let listener = Listener::start(TOKEN).await;

    let report = listener.send("GET", "/memory", &bearer(TOKEN), "");
    assert_eq!(report.status, 200);
    assert!(report.text().contains("\nrss "), "{report:?}");
    for wrong in [String::new(), bearer("another-token-of-size"), bearer("")] {
        let response = listener.send("GET", "/memory", &wrong, "");
        assert_eq!(response.status, 401, "{wrong:?}");
        assert!(response.head.contains("www-authenticate: bearer"));
        assert_eq!(response.json()["error"], "unauthorized");
        assert!(!response.text().contains(TOKEN));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn without_a_token_web_pages_have_no_access() {
    let listener = Listener::start("").await;

    for (lines, status) in [
        ("origin: https://example.com\r\n", 403),
        ("origin: null\r\n", 403),
        ("sec-fetch-site: cross-site\r\n", 403),
        ("sec-fetch-site: same-site\r\n", 403),
        ("sec-fetch-site: none\r\n", 200),
    ] {
        let response = listener.send("GET", "/memory", lines, "");
        assert_eq!(response.status, status, "{lines}");
    }
    for (host, status) in [
        ("rebound.example.com:5151", 403),
        ("localhost.example.com", 403),
        ("127.0.0.1.example.com", 403),
        ("0.0.0.0:5151", 403),
        ("192.0.2.1:5151", 403),
        ("localhost:5151", 200),
        ("127.0.0.1:5151", 200),
        ("[::1]:5151", 200),
    ] {
        let response = listener.send_to_host(host, "GET", "/memory", "", "");
        assert_eq!(response.status, status, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn with_the_token_any_name_will_do() {
    let listener = Listener::start(TOKEN).await;

    let response = listener.send_to_host("svc.internal", "GET", "/memory", &bearer(TOKEN), "");

    assert_eq!(response.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn it_responds_while_all_workers_are_blocked() {
    let listener = Listener::start("").await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let blocked = Arc::new(Barrier::new(3));
    for _ in 0..2 {
        let (released, blocked) = (Arc::clone(&released), Arc::clone(&blocked));
        tokio::spawn(async move {
            blocked.wait();
            drop(released.lock().map(|released| released.recv()));
        });
    }

    // This is the test's own thread, which is not a worker.
    blocked.wait();
    let response = listener.get("/memory");
    drop(release);

    assert_eq!(response.status, 200);
}

#[tokio::test]
#[serial]
async fn settings_that_would_open_the_listener_to_everybody_stop_the_start() {
    let ctx = context(json!({ "memory": { "bind": "0.0.0.0:0", "token": "" } })).await;

    let err = MemoryInitializer.before_run(&ctx).await;

    let err = err.expect_err("no token").to_string();
    assert!(err.contains("settings.memory.token is empty"), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn an_unknown_path_or_method_or_a_huge_body_is_a_json_error() {
    let listener = Listener::start("").await;
    let huge = "1".repeat(100_000);

    for (method, path, body, status) in [
        ("GET", "/", "", 404),
        ("POST", "/memory", "", 405),
        ("POST", "/memory", &huge, 413),
    ] {
        let response = listener.send(method, path, "", body);
        assert_eq!(response.status, status, "{method} {path}");
        assert!(response.json()["error"].is_string(), "{response:?}");
        assert!(response.json()["description"].is_string(), "{response:?}");
    }
    assert_eq!(listener.get("/memory").status, 200);
}

#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
mod jemalloc {
    use std::{sync::Mutex, thread};

    use super::*;

    const JSON: &str = "content-type: application/json\r\n";

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[serial]
    async fn malformed_calls_get_a_json_error_with_a_fitting_status() {
        let listener = Listener::start("").await;
        let huge = [r#"{"dirty_decay_ms":"#, &"1".repeat(100_000), "}"].concat();
        let out_of_range = r#"{"dirty_decay_ms":9000000000000000000}"#;

        for (method, path, lines, body, status) in [
            ("GET", "/memory/purge", "", "", 405),
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
            ("PUT", "/memory/decay", JSON, out_of_range, 400),
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
            let response = listener.send(method, path, lines, body);
            assert_eq!(response.status, status, "{method} {path} {body:.40}");
            assert!(response.json()["error"].is_string(), "{response:?}");
            assert!(response.json()["description"].is_string(), "{response:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[serial]
    async fn decay_times_change_while_the_service_runs() {
        let listener = Listener::start("").await;
        let before = listener.get("/memory/decay").json();

        let response = listener.send("PUT", "/memory/decay", JSON, r#"{"dirty_decay_ms":123}"#);

        assert_eq!(response.status, 200, "{response:?}");
        let after = listener.get("/memory/decay").json();
        assert_eq!(after, response.json());
        assert_eq!(after["dirty_decay_ms"], 123);
        assert_eq!(after["muzzy_decay_ms"], before["muzzy_decay_ms"]);
        let stats = listener.get("/memory/stats?format=json").json();
        let arenas = stats["jemalloc"]["stats.arenas"]
            .as_object()
            .expect("arenas");
        assert!(arenas.len() > 1);
        for (arena, stats) in arenas.iter().filter(|(name, _)| *name != "merged") {
            // Huge allocations have a separate arena with its own times.
            let time = stats["dirty_decay_ms"].as_i64();
            assert!(time == Some(123) || time == Some(0), "{arena}: {time:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[serial]
    async fn a_hundred_purges_at_once_do_not_stop_the_listener() {
        let listener = Listener::start("").await;

        let statuses = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| {
                    let status = listener.post("/memory/purge").status;
                    statuses.lock().expect("a lock").push(status);
                });
            }
        });

        let statuses = statuses.into_inner().expect("a lock");
        assert!(statuses.contains(&200), "{statuses:?}");
        assert!(
            statuses.iter().all(|status| [200, 409].contains(status)),
            "{statuses:?}"
        );
        let purged = listener.post("/memory/purge").json();
        assert!(purged["rss_after_bytes"].is_u64(), "{purged}");
    }
}
