//! Heap profiles of the running service.

use serial_test::serial;

use super::listener::Listener;

/// Enough that some of it is sampled for certain.
#[inline(never)]
pub fn hold_memory() -> Vec<Vec<u8>> {
    (0..64).map(|_| vec![1; 1 << 20]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn profiling_is_on_until_it_is_switched_off() {
    let listener = Listener::start("").await;

    let response = listener.get("/debug/pprof/heap");
    let options = crate::profile::OPTIONS.unwrap_or_default();
    if !options.contains("prof:true") {
        assert_eq!(response.status, 503, "{response:?}");
        assert!(response.text().contains("prof:true"), "{response:?}");
        return;
    }
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.body[..2], [0x1f, 0x8b], "pprof is gzip");
    for unknown in ["seconds=5", "since=record"] {
        let response = listener.get(&format!("/debug/pprof/heap?{unknown}"));
        assert_eq!(response.status, 400, "{response:?}");
    }

    let held = hold_memory();
    let response = listener.get("/debug/pprof/heap/flamegraph");
    assert_eq!(response.status, 200, "{response:?}");
    let function = "profiling::hold_memory (";
    assert!(response.text().contains(function), "{response:?}");

    let response = listener.post("/debug/pprof/heap/deactivate");
    assert_eq!(response.json()["active"], false);
    let response = listener.get("/debug/pprof/heap");
    assert_eq!(response.status, 409, "{response:?}");
    let reason = response.json()["description"].to_string();
    assert!(reason.contains("/debug/pprof/heap/activate"), "{reason}");

    let response = listener.post("/debug/pprof/heap/activate");
    assert_eq!(response.json()["active"], true);
    let response = listener.get("/debug/pprof/heap/flamegraph");
    assert!(
        !response.text().contains(function),
        "all samples are discarded"
    );
    drop(held);
}
