//! What no other route below `/api` takes: an error for the client that asked. All other paths are
//! pages of the front end.

use axum::http::StatusCode;
use loco_rs::{controller::ErrorDetail, prelude::*};

#[debug_handler]
async fn unknown() -> impl IntoResponse {
    // As Loco's `not_found`, but for the error in the log.
    let error = ErrorDetail::new("not_found", "Resource was not found");
    (StatusCode::NOT_FOUND, Json(error))
}

pub fn routes() -> Routes {
    let any_method = get(unknown)
        .post(unknown)
        .put(unknown)
        .patch(unknown)
        .delete(unknown);
    Routes::new()
        .add("/api", any_method.clone())
        .add("/api/{*path}", any_method)
}
