use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, OriginalUri, Request},
    http::{header, HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    Json, Router,
};
use loco_rs::{
    app::AppContext,
    controller::{middleware::MiddlewareLayer, ErrorDetail},
    Result,
};
use serde_json::json;

/// Rejects text with a NUL character, which `PostgreSQL` cannot store: the response would be a 500.
pub struct Nul;

impl MiddlewareLayer for Nul {
    fn name(&self) -> &'static str {
        "nul"
    }

    fn config(&self) -> serde_json::Result<serde_json::Value> {
        Ok(json!({}))
    }

    fn apply(&self, app: Router<AppContext>) -> Result<Router<AppContext>> {
        Ok(app.layer(middleware::from_fn(reject_nul)))
    }
}

async fn reject_nul(request: Request, next: Next) -> Response {
    // `LinkTokens` may have changed the request's own URI.
    let uri = request.extensions().get::<OriginalUri>();
    if uri.is_some_and(|OriginalUri(uri)| uri.to_string().contains("%00")) {
        return rejection();
    }
    let Some(nul) = encoded_nul(request.headers()) else {
        return next.run(request).await;
    };
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts.clone(), body);
    // Reads no more than `limit_payload` allows.
    let body = match Bytes::from_request(request, &()).await {
        Ok(body) => body,
        Err(rejection) => return rejection.into_response(),
    };
    if str::from_utf8(&body).is_ok_and(|text| contains_nul(text, nul)) {
        return rejection();
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}

/// How this content type encodes a NUL character, if the body is text.
fn encoded_nul(headers: &HeaderMap) -> Option<&'static str> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let content_type = content_type.to_ascii_lowercase();
    if content_type.contains("json") {
        return Some("\\u0000");
    }
    content_type
        .starts_with("application/x-www-form-urlencoded")
        .then_some("%00")
}

fn contains_nul(text: &str, nul: &str) -> bool {
    text.match_indices(nul).any(|(at, _)| {
        // In JSON, `\\u0000` is an escaped backslash followed by text.
        let backslashes = text[..at].bytes().rev().take_while(|byte| *byte == b'\\');
        backslashes.count() % 2 == 0
    })
}

fn rejection() -> Response {
    let error = ErrorDetail::new(
        "unprocessable_entity",
        "Text must not contain a NUL character",
    );
    (StatusCode::UNPROCESSABLE_ENTITY, Json(error)).into_response()
}
