//! The requests of the public routes.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::Method,
    middleware::{from_fn, Next},
    response::Response,
    Router,
};
use metrics::{describe_gauge, describe_histogram, gauge, histogram};

pub const DURATION: &str = "http_request_duration_seconds";
pub const DURATION_BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
const IN_FLIGHT: &str = "http_requests_in_flight";

pub fn describe() {
    describe_histogram!(
        DURATION,
        "From the request's head to the answer's, by route, method and status."
    );
    describe_gauge!(IN_FLIGHT, "Requests that wait for their answer.");
}

/// Counts the requests of these routes.
pub fn count(router: Router) -> Router {
    router.layer(from_fn(count_request))
}

async fn count_request(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = name_of(request.method());
    // The template, such as /posts/{id}: the paths that clients think of have no end.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_string(), |path| path.as_str().to_string());
    let in_flight = InFlight::start();
    let response = next.run(request).await;
    drop(in_flight);

    histogram!(
        DURATION,
        "method" => method,
        "route" => route,
        "status" => response.status().as_u16().to_string(),
    )
    .record(start.elapsed());
    response
}

/// Those that clients think of have no end either.
const fn name_of(method: &Method) -> &'static str {
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

/// A request under way: it ends too when the client goes away before the answer.
struct InFlight;

impl InFlight {
    fn start() -> Self {
        gauge!(IN_FLIGHT).increment(1.0);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(IN_FLIGHT).decrement(1.0);
    }
}
