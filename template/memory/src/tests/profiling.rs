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

    let answer = listener.get("/debug/pprof/heap");
    let options = crate::profile::OPTIONS.unwrap_or_default();
    if !options.contains("prof:true") {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.text().contains("prof:true"), "{answer:?}");
        return;
    }
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body[..2], [0x1f, 0x8b], "pprof is gzip");
    for unknown in ["seconds=5", "since=record"] {
        let answer = listener.get(&format!("/debug/pprof/heap?{unknown}"));
        assert_eq!(answer.status, 400, "{answer:?}");
    }

    let held = hold_memory();
    let answer = listener.get("/debug/pprof/heap/flamegraph");
    assert_eq!(answer.status, 200, "{answer:?}");
    let function = "profiling::hold_memory (";
    assert!(answer.text().contains(function), "{answer:?}");

    let answer = listener.post("/debug/pprof/heap/deactivate");
    assert_eq!(answer.json()["active"], false);
    let answer = listener.get("/debug/pprof/heap");
    assert_eq!(answer.status, 409, "{answer:?}");
    let reason = answer.json()["description"].to_string();
    assert!(reason.contains("/debug/pprof/heap/activate"), "{reason}");

    let answer = listener.post("/debug/pprof/heap/activate");
    assert_eq!(answer.json()["active"], true);
    let answer = listener.get("/debug/pprof/heap/flamegraph");
    assert!(
        !answer.text().contains(function),
        "all samples are discarded"
    );
    drop(held);
}
