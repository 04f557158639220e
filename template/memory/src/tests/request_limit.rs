//! The bound on requests as part of Loco's middlewares.

use axum::{body::Body, extract::Request, http::StatusCode, Router};
use serde_json::{json, Value};
use tower::ServiceExt;

use super::application::{context, router};

async fn status(app: &Router, path: &str) -> StatusCode {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let response = app.clone().oneshot(request).await;
    response.expect("a response").status()
}

/// What two requests that come together get.
async fn two_at_once(settings: Value) -> [StatusCode; 2] {
    let app = router(&context(json!({ "requests": settings })).await);
    tokio::join!(status(&app, "/wait"), status(&app, "/wait")).into()
}

#[tokio::test]
async fn more_requests_than_may_wait_are_refused() {
    let statuses = two_at_once(json!({ "in_flight": 1, "waiting": 0 })).await;

    assert_eq!(statuses, [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE]);
}

#[tokio::test]
async fn a_request_that_may_wait_is_answered() {
    let statuses = two_at_once(json!({ "in_flight": 1, "waiting": 1 })).await;

    assert_eq!(statuses, [StatusCode::OK; 2]);
}

#[tokio::test]
async fn a_route_of_the_application_can_be_exempt() {
    let settings = json!({ "in_flight": 1, "waiting": 0, "exempt": ["/wait"] });

    assert_eq!(two_at_once(settings).await, [StatusCode::OK; 2]);
}
