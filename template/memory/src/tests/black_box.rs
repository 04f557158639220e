//! The black box, through the memory listener.

use loco_rs::app::AppContext;
use serde_json::json;
use serial_test::serial;

use super::listener::Listener;

/// Starts a listener with an empty black box.
async fn start(name: &str) -> Listener {
    let directory = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&directory));
    Listener::start_in("", |ctx: &mut AppContext| {
        let settings = ctx.config.settings.as_mut().expect("settings");
        settings["memory"]["black_box"] = json!(directory);
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_record_can_be_requested_and_read() {
    let listener = start("black-box-listener").await;
    assert_eq!(listener.get("/memory/black_box").json(), json!([]));

    let written = listener.send("POST", "/memory/black_box", "", "");

    assert_eq!(written.status, 201, "{written:?}");
    let record = written.json();
    assert_eq!(listener.get("/memory/black_box").json(), json!([record]));
    assert_eq!(record["reason"], "request");
    let name = record["name"].as_str().expect("a name");
    let report = listener.get(&format!("/memory/black_box/{name}"));
    assert_eq!(report.status, 200, "{report:?}");
    assert!(report.text().contains("\nrss "), "{report:?}");
    for unknown in ["2026-01-31T03-04-05-678Z-guard", "..%2f..%2fetc%2fpasswd"] {
        let response = listener.get(&format!("/memory/black_box/{unknown}"));
        assert_eq!(response.status, 404, "{response:?}");
    }
}

#[tokio::test]
#[serial]
async fn without_a_directory_there_is_no_black_box() {
    let listener = Listener::start("").await;

    assert_eq!(listener.get("/memory/black_box").status, 404);
}

#[cfg(all(feature = "heap-profiling", not(target_env = "msvc")))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn what_has_grown_since_a_record_is_shown() {
    use super::profiling::hold_memory;

    if !crate::profile::OPTIONS
        .unwrap_or_default()
        .contains("prof:true")
    {
        return;
    }
    let listener = start("black-box-growth").await;
    let record = listener.post("/memory/black_box").json();
    assert_eq!(record["heap_profile"], true);
    let name = record["name"].as_str().expect("a name");
    let held = hold_memory();
    let growth = listener.get(&format!("/debug/pprof/heap/flamegraph?since={name}"));

    assert_eq!(growth.status, 200, "{growth:?}");
    let svg = growth.text();
    let grown = svg
        .lines()
        .find(|line| line.contains("profiling::hold_memory ("));
    assert!(grown.is_some_and(|line| line.contains('+')), "{svg}");
    drop(held);

    let response = listener.get(&format!("/debug/pprof/allocs?record={name}"));
    assert_eq!(response.status, 200);
    assert_eq!(response.body[..2], [0x1f, 0x8b], "pprof is gzip");
    let response = listener.get("/debug/pprof/heap?record=none");
    assert_eq!(response.status, 404, "{response:?}");
}
