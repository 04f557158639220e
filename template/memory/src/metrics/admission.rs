//! Requests that are worked on and that wait, what they hold, and the connections they come on.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::set;
use crate::{
    admission::{budget::Kind, Admission, Reason},
    guard,
    server::{Closed, Connections, Phase},
};

const BUDGET: &str = "memory_budget_bytes";
const HELD: &str = "memory_budget_held_bytes";
const REQUESTS: &str = "http_requests_admitted";
const WAIT: &str = "http_request_wait_seconds";
const REFUSED: &str = "http_requests_refused_total";
const CONNECTIONS: &str = "http_connections";
const CONNECTIONS_MAX: &str = "http_connections_max";
const CLOSED: &str = "http_connections_closed_total";
const NOT_OPENED: &str = "http_connections_refused_total";
const PRESSURE: &str = "memory_guard_pressure";

/// What is shown: that of the service in this process, once it serves.
static SHOWN: Mutex<Option<(Weak<Admission>, Weak<Connections>)>> = Mutex::new(None);

pub fn show(admission: &Arc<Admission>, connections: &Arc<Connections>) {
    let shown = (Arc::downgrade(admission), Arc::downgrade(connections));
    *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
}

pub fn describe() {
    describe_gauge!(BUDGET, "Memory that requests may make the service hold.");
    describe_gauge!(HELD, "Memory that requests make the service hold, by kind.");
    describe_gauge!(
        REQUESTS,
        "Requests that wait to begin (waiting), are worked on (begun), and of these need the CPU (busy)."
    );
    describe_histogram!(
        WAIT,
        "How long the requests waited that did not begin at once."
    );
    // There from the start, as counters are.
    drop(histogram!(WAIT));
    describe_counter!(REFUSED, "Requests answered with 503, by reason.");
    describe_gauge!(CONNECTIONS, "Open connections, by what they do.");
    describe_gauge!(CONNECTIONS_MAX, "Connections that may be open.");
    describe_counter!(
        CLOSED,
        "Connections that the service has closed, by reason."
    );
    describe_counter!(
        NOT_OPENED,
        "Connections refused because their client had as many as one may."
    );
    describe_gauge!(
        PRESSURE,
        "0: memory is far from the limit; 1: requests wait; 2: connections are closed, and none is accepted."
    );
}

/// A request has waited for so long, and begins or is refused.
pub fn waited(time: Duration) {
    histogram!(WAIT).record(time);
}

pub fn read() {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some((admission, connections)) = shown
        .and_then(|(admission, connections)| Some((admission.upgrade()?, connections.upgrade()?)))
    else {
        return;
    };
    set(BUDGET, admission.budget().limit());
    for kind in Kind::ALL {
        set_one(HELD, "kind", kind.name(), admission.budget().held(kind));
    }
    let gate = admission.gate();
    for (state, count) in [
        ("waiting", gate.waiting()),
        ("begun", gate.begun()),
        ("busy", gate.busy()),
    ] {
        set_one(REQUESTS, "state", state, count as u64);
    }
    for reason in Reason::ALL {
        let refused = admission.refusals().count(reason);
        counter!(REFUSED, "reason" => reason.name()).absolute(refused);
    }
    for (phase, count) in Phase::ALL.into_iter().zip(connections.by_phase()) {
        set_one(CONNECTIONS, "state", phase.name(), count as u64);
    }
    set(CONNECTIONS_MAX, connections.most() as u64);
    for why in Closed::ALL {
        counter!(CLOSED, "reason" => why.name()).absolute(connections.closed(why));
    }
    counter!(NOT_OPENED).absolute(connections.refused());
    set(PRESSURE, guard::pressure() as u64);
}

/// Sets one of several gauges of a name, which a label tells apart.
#[allow(clippy::cast_precision_loss)] // exact up to 8 PiB
fn set_one(gauge: &'static str, label: &'static str, is: &'static str, value: u64) {
    gauge!(gauge, label => is).set(value as f64);
}
