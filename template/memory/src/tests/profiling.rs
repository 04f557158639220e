//! Heap profiles of the running service.

use serial_test::serial;

use super::listener::Listener;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn profiling_is_off_until_it_is_switched_on() {
    let listener = Listener::start("").await;

    let answer = listener.get("/debug/pprof/heap");
    let options = crate::profile::OPTIONS.unwrap_or_default();
    if !options.contains("prof:true") {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.text().contains("prof:true"), "{answer:?}");
        return;
    }
    assert_eq!(answer.status, 409, "{answer:?}");
    let reason = answer.json()["description"].to_string();
    assert!(reason.contains("/debug/pprof/heap/activate"), "{reason}");

    let answer = listener.post("/debug/pprof/heap/activate");
    assert_eq!(answer.json()["active"], true);
    let answer = listener.get("/debug/pprof/heap");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body[..2], [0x1f, 0x8b], "pprof is gzip");

    // Most likely nothing has been sampled yet.
    let answer = listener.get("/debug/pprof/heap/flamegraph");
    assert!([200, 409].contains(&answer.status), "{answer:?}");

    let answer = listener.post("/debug/pprof/heap/deactivate");
    assert_eq!(answer.json()["active"], false);
    assert_eq!(listener.get("/debug/pprof/heap").status, 409);
}
