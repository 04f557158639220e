//! The requests of the public routes.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request},
    http::Method,
    response::Response,
    Router,
};
use metrics::{describe_gauge, describe_histogram, gauge, histogram, Gauge};
use tower::{layer::layer_fn, Service};

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
    let in_flight = gauge!(IN_FLIGHT);
    router.layer(layer_fn(move |route| Counted {
        route,
        in_flight: in_flight.clone(),
    }))
}

/// A route whose requests are counted. A layer of its own, since axum's `from_fn` would clone the
/// route, and with it Loco's whole context, once more for each request.
#[derive(Clone)]
struct Counted<S> {
    route: S,
    in_flight: Gauge,
}

impl<S> Service<Request> for Counted<S>
where
    S: Service<Request, Response = Response>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.route.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let start = Instant::now();
        let method = name_of(request.method());
        // The template, such as /posts/{id}: the paths that clients think of have no end.
        let route = request
            .extensions()
            .get::<MatchedPath>()
            .map_or_else(|| "none".to_string(), |path| path.as_str().to_string());
        let in_flight = InFlight::start(self.in_flight.clone());
        let answer = self.route.call(request);
        Box::pin(async move {
            let response = answer.await?;
            drop(in_flight);
            histogram!(
                DURATION,
                "method" => method,
                "route" => route,
                "status" => response.status().as_u16().to_string(),
            )
            .record(start.elapsed());
            Ok(response)
        })
    }
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
struct InFlight(Gauge);

impl InFlight {
    fn start(in_flight: Gauge) -> Self {
        in_flight.increment(1.0);
        Self(in_flight)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
