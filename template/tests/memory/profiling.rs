//! Heap profiles of the running service.

use serial_test::serial;

use super::admin::Service;

#[test]
#[serial]
fn profiling_is_off_until_it_is_switched_on() {
    let service = Service::start(&[]);

    let answer = service.get("/debug/pprof/heap");
    assert_eq!(answer.status, 409, "{answer:?}");
    let reason = answer.json()["description"].to_string();
    assert!(reason.contains("/debug/pprof/heap/activate"), "{reason}");

    let answer = service.post("/debug/pprof/heap/activate");
    assert_eq!(answer.json()["active"], true);
    let answer = service.get("/debug/pprof/heap");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body[..2], [0x1f, 0x8b], "pprof is gzip");

    let answer = service.post("/debug/pprof/heap/deactivate");
    assert_eq!(answer.json()["active"], false);
    assert_eq!(service.get("/debug/pprof/heap").status, 409);
}

#[test]
#[serial]
fn a_start_without_profiling_says_why_there_is_no_profile() {
    let service = Service::start(&[
        ("MALLOC_CONF", "prof:false"),
        ("_RJEM_MALLOC_CONF", "prof:false"),
    ]);

    let answer = service.post("/debug/pprof/heap/activate");

    assert_eq!(answer.status, 503, "{answer:?}");
    let reason = answer.json()["description"].to_string();
    assert!(reason.contains("prof:false"), "{reason}");
}
