//! Slow tier: which requests a running service admits.

use std::{
    fs,
    thread::{self, JoinHandle},
    time::Duration,
};

use http::StatusCode;
use serde_json::Value;
use template_tests::{Answers, Rendered, Running};

/// A service with the routes of the benchmark, one of which waits as long as it is told to.
fn service() -> Rendered {
    let service = Answers::new("svc").render().expect("the answers render");
    let write = |path: &str, text: String| {
        fs::write(service.root().join(path), text).expect("a file");
    };
    write(
        "src/controllers/load.rs",
        include_str!("../fixtures/load.rs").to_string(),
    );
    write(
        "src/controllers/mod.rs",
        service.read("src/controllers/mod.rs") + "pub mod load;\n",
    );
    write(
        "src/app.rs",
        service.read("src/app.rs").replacen(
            ".add_route(",
            ".add_route(controllers::load::routes())\n            .add_route(",
            1,
        ),
    );
    service
}

/// The response to a GET, whatever its status.
fn get(service: &Running, path: &str) -> ureq::http::Response<ureq::Body> {
    ureq::get(service.url(path))
        .config()
        .http_status_as_error(false)
        .build()
        .call()
        .expect("a response")
}

/// Starts a request that takes a while.
fn start_slow_request(service: &Running) -> JoinHandle<StatusCode> {
    let url = service.url("/load/posts?posts=1&wait_ms=3000");
    let slow = thread::spawn(move || ureq::get(url).call().expect("2xx").status());
    thread::sleep(Duration::from_millis(500));
    slow
}

#[test]
fn a_busy_service_says_when_to_retry_and_stays_healthy() {
    let service = service();
    let binary = service.build().expect("it builds");
    let config = service.root().join("config/development.yaml");
    let bounded = service.read("config/development.yaml");
    fs::write(&config, bounded.replace("waiting: 10000", "waiting: 0")).expect("the settings");

    let running = service
        .start(&binary, &[("REQUESTS_IN_FLIGHT", "1")])
        .expect("it starts");
    let slow = start_slow_request(&running);

    let mut refused = get(&running, "/load/small");
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.headers()["content-type"], "application/json");
    let body: Value = refused.body_mut().read_json().expect("JSON");
    assert_eq!(body["error"], "service_unavailable");
    assert!(body["description"].is_string(), "{body}");
    for health in ["/_ping", "/_health", "/_readiness"] {
        assert_eq!(get(&running, health).status(), 200, "{health}");
    }
    assert_eq!(slow.join().expect("the slow request"), 200);
    assert_eq!(get(&running, "/load/small").status(), 200);
    drop(running);

    // One line turns it off.
    fs::write(
        &config,
        bounded.replacen(
            "requests:\n    enable: true",
            "requests:\n    enable: false",
            1,
        ),
    )
    .expect("the settings");
    let running = service
        .start(&binary, &[("REQUESTS_IN_FLIGHT", "1")])
        .expect("it starts");
    let slow = start_slow_request(&running);
    assert_eq!(get(&running, "/load/small").status(), 200);
    assert!(!slow.is_finished(), "the slow request has ended");
    assert_eq!(slow.join().expect("the slow request"), 200);
    drop(running);

    // A route that does not exist cannot be exempt.
    fs::write(
        &config,
        bounded.replace("exempt: []", "exempt: [/api/evnts]"),
    )
    .expect("the settings");
    let error = service
        .start(&binary, &[])
        .map(drop)
        .expect_err("a typo prevents the start")
        .to_string();
    assert!(
        error.contains("/api/evnts") && error.contains("cargo loco routes"),
        "{error}"
    );
}
