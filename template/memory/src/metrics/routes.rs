//! Requests by route: how long they take, and the memory that they hold.

use std::{
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc, OnceLock,
    },
    time::Duration,
};

use axum::http::{Method, StatusCode};
use metrics::{describe_histogram, histogram, Histogram, SharedString};

use super::{
    http::method_name,
    top::{table, Holder},
};
use crate::usage::Tally;

pub const DURATION: &str = "http_server_request_duration_seconds";
const PEAK: &str = "http_request_peak_memory_bytes";
const ALLOCATED: &str = "http_request_allocated_bytes";

pub fn describe() {
    describe_histogram!(
        DURATION,
        "Time from a request's head to the response's, by route, method and status."
    );
    describe_histogram!(
        PEAK,
        "The most memory that a request held at once, by route and method."
    );
    describe_histogram!(
        ALLOCATED,
        "Memory that a request allocated, whether or not it freed it, by route and method."
    );
}

/// The metrics of the requests to a route. Its histograms are looked up only once.
#[derive(Debug)]
pub struct RouteMetrics {
    method: &'static str,
    /// Such as `/posts/{id}`. `none` for requests that match no route, since clients can invent any
    /// number of paths.
    template: Arc<str>,
    /// The durations of requests that were answered with 200, as most are.
    durations: OnceLock<Histogram>,
    peaks: OnceLock<Histogram>,
    allocations: OnceLock<Histogram>,
    requests: AtomicU64,
    /// Bytes allocated by all requests.
    allocated: AtomicU64,
    /// The largest peak of a request, in bytes.
    peak: AtomicU64,
}

impl RouteMetrics {
    /// Without a method, for requests that match no route.
    pub fn new(method: Option<&Method>, template: &str) -> Self {
        Self {
            method: method.map_or("any", method_name),
            template: Arc::from(template),
            durations: OnceLock::new(),
            peaks: OnceLock::new(),
            allocations: OnceLock::new(),
            requests: AtomicU64::new(0),
            allocated: AtomicU64::new(0),
            peak: AtomicU64::new(0),
        }
    }

    /// The route's template, as the value of a label.
    pub fn label(&self) -> SharedString {
        SharedString::from_shared(Arc::clone(&self.template))
    }

    /// A request with this method, which may be HEAD on a route of GET, was answered.
    pub fn record_duration(&self, method: &'static str, status: StatusCode, duration: Duration) {
        let histogram = || {
            histogram!(
                DURATION,
                "http_request_method" => method,
                "http_route" => self.label(),
                "http_response_status_code" => status.as_u16().to_string(),
            )
        };
        if status == StatusCode::OK && method == self.method {
            self.durations.get_or_init(histogram).record(duration);
        } else {
            histogram().record(duration);
        }
    }

    /// A request has ended. Zero allocated bytes mean that the allocator does not count them, so
    /// nothing is recorded.
    #[allow(clippy::cast_precision_loss)] // exact up to 8 PiB
    pub fn record_memory(&self, tally: &Tally) {
        let (peak, allocated) = (tally.peak(), tally.allocated);
        if allocated == 0 {
            return;
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.allocated.fetch_add(allocated, Ordering::Relaxed);
        self.peak.fetch_max(peak, Ordering::Relaxed);
        let histogram = |name| {
            histogram!(
                name,
                "http_request_method" => self.method,
                "http_route" => self.label(),
            )
        };
        let peaks = self.peaks.get_or_init(|| histogram(PEAK));
        peaks.record(peak as f64);
        let allocations = self.allocations.get_or_init(|| histogram(ALLOCATED));
        allocations.record(allocated as f64);
    }
}

/// A table of the routes whose requests have held the most: the largest peak, and what a request
/// allocates on average.
pub fn report<'a>(routes: impl Iterator<Item = &'a RouteMetrics>) -> String {
    let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
    let routes = routes.map(|route| Holder {
        name: format!("{} {}", route.method, route.template),
        count: read(&route.requests),
        peak: read(&route.peak),
        allocated: read(&route.allocated),
    });
    table("top routes", "requests", routes)
}
