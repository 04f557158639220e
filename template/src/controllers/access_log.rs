use std::time::Instant;

use axum::{
    extract::Request,
    http::StatusCode,
    middleware::{self, Next},
    Router,
};
use loco_rs::{controller::middleware::MiddlewareLayer, prelude::*};

/// Polled all the time, so logged only at the debug level.
const PROBES: [&str; 3] = ["/_health", "/_ping", "/_readiness"];

/// Logs one line per request, with the response's status and the time until it started. The path
/// and the request id are in the enclosing span.
pub struct AccessLog;

impl MiddlewareLayer for AccessLog {
    fn name(&self) -> &'static str {
        "access_log"
    }

    fn config(&self) -> serde_json::Result<serde_json::Value> {
        Ok(data!({}))
    }

    fn apply(&self, app: Router<AppContext>) -> Result<Router<AppContext>> {
        Ok(app.layer(middleware::from_fn(log)))
    }
}

async fn log(request: Request, next: Next) -> Response {
    let is_probe = PROBES.contains(&request.uri().path());
    let start = Instant::now();
    let response = next.run(request).await;
    let milliseconds = start.elapsed().as_secs_f64() * 1000.0;
    let status = response.status();
    if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
        tracing::error!(status = status.as_u16(), milliseconds, "request");
    } else if is_probe {
        tracing::debug!(status = status.as_u16(), milliseconds, "request");
    } else {
        tracing::info!(status = status.as_u16(), milliseconds, "request");
    }
    response
}
