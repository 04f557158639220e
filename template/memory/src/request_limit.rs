//! A bound on the requests that are worked on at once.
//!
//! What a service needs at its peak is what each request needs, times the requests that are worked
//! on at once. On a few cores more of them make nothing faster: so the others wait for a permit,
//! first come, first served, and are answered with 503 when too many wait or one waits too long.
//! `settings.requests` in `config/*.yaml` sets the numbers.

use std::{
    collections::HashSet,
    future::Future,
    num::NonZeroUsize,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    thread,
    time::Duration,
};

use axum::{
    extract::{MatchedPath, Request},
    http::{header, StatusCode},
    Router,
};
use loco_rs::{
    app::Hooks,
    controller::{
        middleware::{default_middleware_stack, MiddlewareLayer},
        ErrorDetail, Json,
    },
    prelude::*,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use tower::{layer::layer_fn, Service};

use crate::settings::{Requests, Settings};

/// Requests in flight for each core, where `settings.requests.in_flight` is not set.
const IN_FLIGHT_PER_CORE: usize = 16;

/// Loco's own routes that must answer under any load.
const HEALTH: [&str; 3] = ["/_ping", "/_health", "/_readiness"];

/// Loco's middlewares, with the bound on requests as the innermost: what it answers is logged, and
/// gets its CORS headers.
#[must_use]
pub fn middlewares<H: Hooks>(ctx: &AppContext) -> Vec<Box<dyn MiddlewareLayer>> {
    let mut middlewares = default_middleware_stack(ctx);
    middlewares.insert(0, Box::new(RequestLimit::new::<H>(ctx)));
    middlewares
}

/// The middleware `request_limit`, for an application with a stack of its own.
pub struct RequestLimit {
    requests: Result<Requests, String>,
    routes: HashSet<String>,
}

impl RequestLimit {
    /// Reads `settings.requests`. What is wrong there stops the start.
    #[must_use]
    pub fn new<H: Hooks>(ctx: &AppContext) -> Self {
        Self {
            requests: Settings::read(&ctx.config)
                .map(|settings| settings.requests)
                .map_err(|err| err.to_string()),
            routes: H::routes(ctx)
                .collect()
                .into_iter()
                .map(|route| route.uri)
                .collect(),
        }
    }
}

impl MiddlewareLayer for RequestLimit {
    fn name(&self) -> &'static str {
        "request_limit"
    }

    fn is_enabled(&self) -> bool {
        // What cannot be read is not skipped: `apply` says what is wrong.
        self.requests
            .as_ref()
            .map_or(true, |requests| requests.enable)
    }

    fn config(&self) -> serde_json::Result<serde_json::Value> {
        match &self.requests {
            Ok(requests) => serde_json::to_value(requests),
            Err(err) => Ok(serde_json::json!({ "error": err })),
        }
    }

    fn apply(&self, app: Router<AppContext>) -> Result<Router<AppContext>> {
        let requests = self
            .requests
            .as_ref()
            .map_err(|err| Error::Message(err.clone()))?;
        if let Some(route) = requests
            .exempt
            .iter()
            .find(|route| !self.routes.contains(*route))
        {
            return Err(Error::Message(format!(
                "settings.requests.exempt has \"{route}\", which is no route: `cargo loco routes` \
                 prints them"
            )));
        }
        Ok(limited(app, requests))
    }
}

fn limited<S: Clone + Send + Sync + 'static>(app: Router<S>, requests: &Requests) -> Router<S> {
    let permits = Arc::new(Permits::new(requests));
    app.layer(layer_fn(move |route| Limited {
        route,
        permits: Arc::clone(&permits),
    }))
}

/// What all requests share.
struct Permits {
    in_flight: Semaphore,
    waiting: Semaphore,
    wait: Duration,
    /// So few that a list is faster than a set.
    exempt: Vec<String>,
}

impl Permits {
    fn new(requests: &Requests) -> Self {
        let in_flight = requests.in_flight.map_or_else(
            || IN_FLIGHT_PER_CORE * thread::available_parallelism().map_or(1, NonZeroUsize::get),
            NonZeroUsize::get,
        );
        let health = HEALTH.into_iter().map(String::from);
        Self {
            in_flight: Semaphore::new(in_flight),
            waiting: Semaphore::new(requests.waiting),
            wait: Duration::from_millis(requests.wait_ms),
            exempt: health.chain(requests.exempt.iter().cloned()).collect(),
        }
    }

    /// A permit, which ends when it is dropped; `None` if there is none in time.
    async fn next(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(permit) = self.in_flight.try_acquire() {
            return Some(permit);
        }
        let _waiting = self.waiting.try_acquire().ok()?;
        timeout(self.wait, self.in_flight.acquire())
            .await
            .ok()?
            .ok()
    }

    /// Static files and unknown paths match no route.
    fn exempts(&self, request: &Request) -> bool {
        request
            .extensions()
            .get::<MatchedPath>()
            .is_none_or(|path| self.exempt.iter().any(|exempt| exempt == path.as_str()))
    }
}

/// A route whose requests take permits. A layer of its own, since axum's `from_fn` would clone the
/// route, and with it Loco's whole context, once more for each request.
#[derive(Clone)]
struct Limited<S> {
    route: S,
    permits: Arc<Permits>,
}

impl<S> Service<Request> for Limited<S>
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
        if self.permits.exempts(&request) {
            return Box::pin(self.route.call(request));
        }
        let permits = Arc::clone(&self.permits);
        // The work begins when this is awaited.
        let answer = self.route.call(request);
        Box::pin(async move {
            match permits.next().await {
                Some(_permit) => answer.await,
                None => Ok(overloaded()),
            }
        })
    }
}

fn overloaded() -> Response {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::RETRY_AFTER, "1")],
        Json(ErrorDetail::new(
            "service_unavailable",
            "The service is overloaded: try again later",
        )),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};
    use serde_json::{json, Value};
    use tokio::sync::{Barrier, Notify};
    use tower::ServiceExt;

    use super::*;

    fn requests(settings: Value) -> Requests {
        serde_json::from_value(settings).expect("settings")
    }

    async fn call(app: &Router, path: &str) -> Response {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        timeout(Duration::from_secs(5), app.clone().oneshot(request))
            .await
            .expect("an answer in time")
            .expect("a response")
    }

    /// A route that answers when as many requests as `together` are in it, and others.
    fn meeting(together: usize) -> Router {
        let barrier = Arc::new(Barrier::new(together));
        let meet = move || {
            let barrier = barrier.clone();
            async move {
                barrier.wait().await;
            }
        };
        Router::new()
            .route("/meet/{id}", get(meet))
            .route("/_ping", get(|| async {}))
            .route("/other", get(|| async {}))
    }

    #[tokio::test]
    async fn as_many_requests_as_allowed_are_worked_on_at_once_and_no_more() {
        let app = limited(
            meeting(2),
            &requests(json!({ "in_flight": 2, "waiting": 0 })),
        );

        let (one, two) = tokio::join!(call(&app, "/meet/1"), call(&app, "/meet/2"));
        assert_eq!([one.status(), two.status()], [StatusCode::OK; 2]);

        let app = limited(
            meeting(2),
            &requests(json!({ "in_flight": 1, "waiting": 10, "wait_ms": 20 })),
        );
        let meeting = tokio::spawn({
            let app = app.clone();
            async move { call(&app, "/meet/1").await }
        });
        tokio::task::yield_now().await;
        let second = call(&app, "/meet/2").await;
        assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
        meeting.abort();
    }

    #[tokio::test]
    async fn a_waiting_request_is_answered_when_its_permit_comes() {
        let leave = Arc::new(Notify::new());
        let left = leave.clone();
        let stay = move || {
            let left = left.clone();
            async move { left.notified().await }
        };
        let app = limited(
            Router::new().route("/stay", get(stay)),
            &requests(json!({ "in_flight": 1, "waiting": 1 })),
        );

        let leaving = async {
            tokio::task::yield_now().await;
            leave.notify_one();
            tokio::task::yield_now().await;
            leave.notify_one();
        };
        let (one, two, ()) = tokio::join!(call(&app, "/stay"), call(&app, "/stay"), leaving);

        assert_eq!([one.status(), two.status()], [StatusCode::OK; 2]);
    }

    #[tokio::test]
    async fn what_cannot_wait_is_told_when_to_come_again() {
        let app = limited(
            meeting(2),
            &requests(json!({ "in_flight": 1, "waiting": 0 })),
        );

        let (_, refused) = tokio::join!(
            timeout(Duration::from_millis(100), call(&app, "/meet/1")),
            call(&app, "/other")
        );

        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
        let body = axum::body::to_bytes(refused.into_body(), usize::MAX)
            .await
            .expect("a body");
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["error"], "service_unavailable");
        assert!(body["description"].is_string(), "{body}");
    }

    #[tokio::test]
    async fn health_and_unknown_paths_do_not_wait() {
        let app = limited(
            meeting(2),
            &requests(json!({ "in_flight": 1, "waiting": 0 })),
        );

        let (_, health, unknown) = tokio::join!(
            timeout(Duration::from_millis(100), call(&app, "/meet/1")),
            call(&app, "/_ping"),
            call(&app, "/unknown")
        );

        assert_eq!(health.status(), StatusCode::OK);
        assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn an_exempt_route_does_not_count() {
        let settings = json!({ "in_flight": 1, "waiting": 0, "exempt": ["/meet/{id}"] });
        let app = limited(meeting(2), &requests(settings));

        let (one, two) = tokio::join!(call(&app, "/meet/1"), call(&app, "/meet/2"));

        assert_eq!([one.status(), two.status()], [StatusCode::OK; 2]);
    }

    /// The middleware with these settings, in a service that has the route `/stream`.
    fn middleware(settings: Value) -> RequestLimit {
        RequestLimit {
            requests: serde_json::from_value(settings)
                .map_err(|err: serde_json::Error| err.to_string()),
            routes: HashSet::from(["/stream".to_string()]),
        }
    }

    #[test]
    fn it_is_on_unless_it_is_switched_off() {
        assert!(middleware(json!({})).is_enabled());
        assert!(!middleware(json!({ "enable": false })).is_enabled());
    }

    #[test]
    fn wrong_settings_stop_the_start_and_are_named() {
        for (settings, named) in [
            (json!({ "in_flight": 0 }), "nonzero"),
            (json!({ "in_fligth": 1 }), "in_fligth"),
            (json!({ "exempt": ["/straem"] }), "/straem"),
        ] {
            let middleware = middleware(settings);
            assert!(middleware.is_enabled());
            let error = middleware
                .apply(Router::new())
                .expect_err("wrong settings")
                .to_string();
            assert!(error.contains(named), "{error}");
        }
        assert!(middleware(json!({ "exempt": ["/stream"] }))
            .apply(Router::new())
            .is_ok());
    }
}
