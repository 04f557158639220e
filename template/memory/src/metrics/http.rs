//! Requests to the public routes.

use std::{sync::Arc, time::Instant};

use axum::http::{Method, StatusCode};
use metrics::{counter, describe_counter, describe_gauge, gauge, Gauge};
#[cfg(feature = "traces")]
use opentelemetry::TraceId;

#[cfg(feature = "traces")]
use super::exemplars::{self, Series};
use super::routes::RouteMetrics;

const IN_FLIGHT: &str = "http_requests_in_flight";
const ABORTED: &str = "http_requests_aborted_total";

pub fn describe() {
    describe_gauge!(IN_FLIGHT, "Requests that wait for their response.");
    describe_counter!(
        ABORTED,
        "Requests that ended without a response, since the client went away or was cut off, by route \
         and method."
    );
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

    pub fn start(&self, method: &Method, route: &Arc<RouteMetrics>) -> Request {
        self.in_flight.increment(1.0);
        Request {
            start: Instant::now(),
            method: method_name(method),
            route: Arc::clone(route),
            in_flight: self.in_flight.clone(),
            #[cfg(feature = "traces")]
            trace: None,
            is_finished: false,
        }
    }
}

/// A request in flight. Only [`Self::finish`] records it in the histogram: if it is dropped before, the
/// client has gone away or was cut off.
pub struct Request {
    start: Instant,
    method: &'static str,
    route: Arc<RouteMetrics>,
    in_flight: Gauge,
    #[cfg(feature = "traces")]
    trace: Option<TraceId>,
    is_finished: bool,
}

impl Request {
    /// The request is part of this exported trace, or of none.
    #[cfg(feature = "traces")]
    pub const fn of_trace(mut self, trace: Option<TraceId>) -> Self {
        self.trace = trace;
        self
    }

    pub fn finish(mut self, status: StatusCode) {
        self.is_finished = true;
        let duration = self.start.elapsed();
        self.route.record_duration(self.method, status, duration);
        #[cfg(feature = "traces")]
        if let Some(trace) = self.trace {
            let series = Series {
                method: self.method,
                route: self.route.label(),
                status: status.as_u16(),
            };
            exemplars::record(series, trace, duration);
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.in_flight.decrement(1.0);
        if !self.is_finished {
            counter!(ABORTED, "http_request_method" => self.method, "http_route" => self.route.label()).increment(1);
        }
    }
}

/// A fixed set, since clients can invent any number of methods.
pub const fn method_name(method: &Method) -> &'static str {
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
