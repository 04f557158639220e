//! Requests that are waiting or worked on, the memory that they hold, and their connections.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::{routes, set};
use crate::{
    admission::{budget::Kind, Admission, Reason},
    guard,
    server::{CloseReason, Connections, Phase},
};

const BUDGET: &str = "memory_budget_bytes";
const HELD: &str = "memory_budget_held_bytes";
const REQUESTS: &str = "http_requests_admitted";
const WAIT: &str = "http_request_wait_seconds";
const REFUSED: &str = "http_requests_refused_total";
const CONNECTIONS: &str = "http_connections";
const CONNECTIONS_MAX: &str = "http_connections_max";
const CLOSED: &str = "http_connections_closed_total";
const CONNECTIONS_REFUSED: &str = "http_connections_refused_total";
const PRESSURE: &str = "memory_guard_pressure";

/// What to report on: the service in this process, once it is serving.
static SOURCES: Mutex<Option<(Weak<Admission>, Weak<Connections>)>> = Mutex::new(None);

pub fn register(admission: &Arc<Admission>, connections: &Arc<Connections>) {
    let sources = (Arc::downgrade(admission), Arc::downgrade(connections));
    *SOURCES.lock().unwrap_or_else(PoisonError::into_inner) = Some(sources);
}

pub fn describe() {
    describe_gauge!(BUDGET, "Memory that requests may make the service hold.");
    describe_gauge!(HELD, "Memory that requests make the service hold, by kind.");
    describe_gauge!(
        REQUESTS,
        "Requests that are waiting to begin (waiting), that have begun (begun), and those of the \
         latter that need the CPU (busy)."
    );
    describe_histogram!(
        WAIT,
        "Time that requests waited, counting only those that were not admitted at once."
    );
    // Makes it exist from the start, as counters do.
    drop(histogram!(WAIT));
    describe_counter!(REFUSED, "Requests answered with 503, by reason.");
    describe_gauge!(CONNECTIONS, "Open connections, by state.");
    describe_gauge!(CONNECTIONS_MAX, "The most connections that may be open.");
    describe_counter!(
        CLOSED,
        "Connections that the service has closed, by reason."
    );
    describe_counter!(
        CONNECTIONS_REFUSED,
        "Connections refused because their client had too many."
    );
    describe_gauge!(
        PRESSURE,
        "0: memory is far from the limit; 1: requests wait; 2: connections are closed, and none \
         are accepted."
    );
}

/// Records how long a request waited until it began or was refused.
pub fn record_wait(time: Duration) {
    histogram!(WAIT).record(time);
}

fn sources() -> Option<(Arc<Admission>, Arc<Connections>)> {
    let sources = SOURCES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let (admission, connections) = sources?;
    Some((admission.upgrade()?, connections.upgrade()?))
}

/// A table of the routes whose requests have held the most, if the service is serving.
pub fn top_routes() -> String {
    sources().map_or_else(String::new, |(admission, _)| {
        routes::report(admission.routes().metrics())
    })
}

pub fn read() {
    let Some((admission, connections)) = sources() else {
        return;
    };
    set(BUDGET, admission.budget().limit());
    for kind in Kind::ALL {
        set_labeled(HELD, "kind", kind.name(), admission.budget().held(kind));
    }
    let gate = admission.gate();
    for (state, count) in [
        ("waiting", gate.waiting()),
        ("begun", gate.active()),
        ("busy", gate.busy()),
    ] {
        set_labeled(REQUESTS, "state", state, count as u64);
    }
    for reason in Reason::ALL {
        let refused = admission.refusals().count(reason);
        counter!(REFUSED, "reason" => reason.name()).absolute(refused);
    }
    for (phase, count) in Phase::ALL.into_iter().zip(connections.by_phase()) {
        set_labeled(CONNECTIONS, "state", phase.name(), count as u64);
    }
    set(CONNECTIONS_MAX, connections.max() as u64);
    for reason in CloseReason::ALL {
        counter!(CLOSED, "reason" => reason.name()).absolute(connections.closed(reason));
    }
    counter!(CONNECTIONS_REFUSED).absolute(connections.refused());
    set(PRESSURE, guard::pressure() as u64);
}

/// Sets one of several gauges with the same name, which differ in a label.
#[allow(clippy::cast_precision_loss)] // exact up to 8 PiB
fn set_labeled(gauge: &'static str, label: &'static str, label_value: &'static str, value: u64) {
    gauge!(gauge, label => label_value).set(value as f64);
}
