//! The requests of the public routes.

use std::{collections::HashSet, convert::Infallible, sync::Arc, time::Instant};

use axum::{extract::Request, http::Method, response::Response, Router};
use loco_rs::{controller::AppRoutes, Error, Result};
use metrics::{describe_gauge, describe_histogram, gauge, histogram, Gauge, SharedString};
use tower::{service_fn, ServiceExt};

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

struct Counter {
    in_flight: Gauge,
    /// The templates of the routes, such as `/posts/{id}`: clients can invent any number of paths.
    templates: matchit::Router<SharedString>,
}

/// Counts what the service answers.
///
/// # Errors
///
/// When two of the routes cannot be told apart.
pub fn count(service: Router, routes: &AppRoutes) -> Result<Router> {
    // A route is listed once for each of its methods.
    let listed = routes.collect().into_iter();
    let uris: HashSet<String> = listed.map(|route| route.uri).collect();
    let mut templates = matchit::Router::new();
    for uri in uris {
        let template = SharedString::from_shared(uri.as_str().into());
        templates.insert(uri, template).map_err(Error::wrap)?;
    }
    let counter = Arc::new(Counter {
        in_flight: gauge!(IN_FLIGHT),
        templates,
    });
    // Around the whole router: a layer around each route would clone it, and with it Loco's whole
    // context, once more for each request.
    Ok(Router::new().fallback_service(service_fn(move |request| {
        count_one(Arc::clone(&counter), service.clone(), request)
    })))
}

async fn count_one(
    counter: Arc<Counter>,
    service: Router,
    request: Request,
) -> std::result::Result<Response, Infallible> {
    let start = Instant::now();
    let method = name_of(request.method());
    let route = counter
        .templates
        .at(request.uri().path())
        .map_or(SharedString::const_str("none"), |route| route.value.clone());
    let in_flight = InFlight::start(&counter.in_flight);
    let response = service.oneshot(request).await?;
    drop(in_flight);
    histogram!(
        DURATION,
        "method" => method,
        "route" => route,
        "status" => response.status().as_u16().to_string(),
    )
    .record(start.elapsed());
    Ok(response)
}

/// Clients can invent any number of methods, too.
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
struct InFlight<'a>(&'a Gauge);

impl<'a> InFlight<'a> {
    fn start(in_flight: &'a Gauge) -> Self {
        in_flight.increment(1.0);
        Self(in_flight)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
