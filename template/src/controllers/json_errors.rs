use axum::{
    body::to_bytes,
    http::{header, HeaderMap, StatusCode},
    middleware::map_response,
    Router,
};
use loco_rs::{
    controller::{middleware::MiddlewareLayer, ErrorDetail},
    prelude::*,
};

/// Extractors' error messages are shorter than this.
const MAX_LENGTH: usize = 64 << 10;

/// Gives every error the JSON shape of the handlers' errors, in every environment: requests that no
/// route matches, and axum's plain-text rejections.
pub struct JsonErrors;

impl MiddlewareLayer for JsonErrors {
    fn name(&self) -> &'static str {
        "json_errors"
    }

    fn config(&self) -> serde_json::Result<serde_json::Value> {
        Ok(data!({}))
    }

    fn apply(&self, app: Router<AppContext>) -> Result<Router<AppContext>> {
        Ok(app
            .layer(map_response(rejection_as_json))
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed))
    }
}

/// Like Loco's `not_found`, but without an error in the log.
pub async fn not_found() -> impl IntoResponse {
    let error = ErrorDetail::new("not_found", "Resource was not found");
    (StatusCode::NOT_FOUND, Json(error))
}

async fn method_not_allowed() -> impl IntoResponse {
    let error = ErrorDetail::new(
        "method_not_allowed",
        "The method is not allowed for this resource",
    );
    (StatusCode::METHOD_NOT_ALLOWED, Json(error))
}

async fn rejection_as_json(response: Response) -> Response {
    let status = response.status();
    if !status.is_client_error() || !is_plain_text(response.headers()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(text) = to_bytes(body, MAX_LENGTH).await else {
        return status.into_response();
    };
    let reason = status.canonical_reason().unwrap_or("error");
    let error = ErrorDetail::new(reason, String::from_utf8_lossy(&text).into_owned());
    let mut json = (status, Json(error)).into_response();
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    json.headers_mut().extend(parts.headers);
    json
}

fn is_plain_text(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("text/plain"))
}

#[cfg(test)]
mod tests {
    use serde_json::{json, Value};

    use super::*;

    async fn text(response: Response) -> String {
        let body = to_bytes(response.into_body(), MAX_LENGTH).await;
        String::from_utf8(body.expect("a body").to_vec()).expect("text")
    }

    #[tokio::test]
    async fn extractor_rejections_become_json_errors() {
        let message = "Invalid URL: Cannot parse `latest` to a `i32`";
        let rejection = (StatusCode::BAD_REQUEST, [("x-kept", "1")], message);

        let response = rejection_as_json(rejection.into_response()).await;

        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["x-kept"], "1");
        let body: Value = serde_json::from_str(&text(response).await).expect("JSON");
        let expected = json!({ "error": "Bad Request", "description": message });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn plain_text_responses_stay_unchanged() {
        let response = rejection_as_json("a post".into_response()).await;

        assert_eq!(text(response).await, "a post");
    }
}
