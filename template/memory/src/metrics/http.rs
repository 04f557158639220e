//! Requests to the public routes.

use std::{sync::Arc, time::Instant};

use axum::http::{Method, StatusCode};
use metrics::{describe_gauge, describe_histogram, gauge, histogram, Gauge, SharedString};

const DURATION: &str = "http_request_duration_seconds";
const IN_FLIGHT: &str = "http_requests_in_flight";

pub fn describe() {
    describe_histogram!(
        DURATION,
        "Time from a request's head to the response's, by route, method and status."
    );
    describe_gauge!(IN_FLIGHT, "Requests that wait for their response.");
}

/// Counts requests.
pub struct Counter {
    in_flight: Gauge,
}

impl Counter {
    pub fn new() -> Self {
        Self {
            in_flight: gauge!(IN_FLIGHT),
        }
    }

    pub fn start(&self, method: &Method, route: &Arc<str>) -> Request {
        self.in_flight.increment(1.0);
        Request {
            start: Instant::now(),
            method: method_name(method),
            route: Arc::clone(route),
            in_flight: self.in_flight.clone(),
        }
    }
}

/// A request in flight. Only [`Self::finish`] records it in the histogram, since the client may go
/// away before.
pub struct Request {
    start: Instant,
    method: &'static str,
    /// The route's template, such as `/posts/{id}`.
    route: Arc<str>,
    in_flight: Gauge,
}

impl Request {
    pub fn finish(self, status: StatusCode) {
        histogram!(
            DURATION,
            "method" => self.method,
            "route" => SharedString::from_shared(Arc::clone(&self.route)),
            "status" => status.as_u16().to_string(),
        )
        .record(self.start.elapsed());
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.in_flight.decrement(1.0);
    }
}

/// A fixed set, since clients can invent any number of methods.
const fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
