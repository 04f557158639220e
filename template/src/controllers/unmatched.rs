use axum::{http::StatusCode, Router};
use loco_rs::{
    controller::{middleware::MiddlewareLayer, ErrorDetail},
    prelude::*,
};

/// Answers what no handler takes with an error of the same shape as theirs, in every environment.
pub struct Unmatched;

impl MiddlewareLayer for Unmatched {
    fn name(&self) -> &'static str {
        "unmatched"
    }

    fn config(&self) -> serde_json::Result<serde_json::Value> {
        Ok(data!({}))
    }

    fn apply(&self, app: Router<AppContext>) -> Result<Router<AppContext>> {
        Ok(app
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed))
    }
}

/// As Loco's `not_found`, but for the error in the log.
pub async fn not_found() -> impl IntoResponse {
    let error = ErrorDetail::new("not_found", "Resource was not found");
    (StatusCode::NOT_FOUND, Json(error))
}

async fn method_not_allowed() -> impl IntoResponse {
    let error = ErrorDetail::new("method_not_allowed", "The method is not allowed here");
    (StatusCode::METHOD_NOT_ALLOWED, Json(error))
}
