use axum::{
    extract::{MatchedPath, Request},
    http::Uri,
    middleware::{self, Next},
    response::Response,
    Router,
};
use loco_rs::{app::AppContext, controller::middleware::MiddlewareLayer, Result};
use serde_json::json;

/// Length of the shortest token, in characters.
const MIN_TOKEN_LENGTH: usize = 32;

/// Keeps the tokens of emailed links out of the log, which gets the route's path instead.
pub struct LinkTokens;

impl MiddlewareLayer for LinkTokens {
    fn name(&self) -> &'static str {
        "link_tokens"
    }

    fn config(&self) -> serde_json::Result<serde_json::Value> {
        Ok(json!({}))
    }

    fn apply(&self, app: Router<AppContext>) -> Result<Router<AppContext>> {
        Ok(app.layer(middleware::from_fn(hide_token)))
    }
}

async fn hide_token(mut request: Request, next: Next) -> Response {
    if let Some(uri) = without_token(&request) {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

fn without_token(request: &Request) -> Option<Uri> {
    let path = request.uri().path();
    let mut uri = match request.extensions().get::<MatchedPath>() {
        Some(route) if route.as_str().ends_with("/{token}") => route.as_str().to_string(),
        // A link with an extra slash, which matches no route
        None if path.ends_with('/') => mask(path),
        _ => return None,
    };
    if let Some(query) = request.uri().query() {
        uri.push('?');
        uri.push_str(query);
    }
    uri.parse().ok()
}

/// Masks every segment that is long enough to be a token.
fn mask(path: &str) -> String {
    let segments = path.split('/').map(|segment| match segment.len() {
        0..MIN_TOKEN_LENGTH => segment,
        _ => "{token}",
    });
    segments.collect::<Vec<_>>().join("/")
}
