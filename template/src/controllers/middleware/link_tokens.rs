use axum::{
    extract::{MatchedPath, Request},
    http::Uri,
    middleware::{self, Next},
    response::Response,
    Router,
};
use loco_rs::{app::AppContext, controller::middleware::MiddlewareLayer, Result};
use serde_json::json;

/// Characters of the shortest token.
const LONG: usize = 32;

/// Keeps the tokens of mailed links out of the log: it gets the path of the route instead.
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
    let asked = request.uri().path();
    let mut uri = match request.extensions().get::<MatchedPath>() {
        Some(path) if path.as_str().ends_with("/{token}") => path.as_str().to_string(),
        // A link with a slash too many
        None if asked.ends_with('/') => masked(asked),
        _ => return None,
    };
    if let Some(query) = request.uri().query() {
        uri.push('?');
        uri.push_str(query);
    }
    uri.parse().ok()
}

/// The path, with no part that is long enough to be a token.
fn masked(path: &str) -> String {
    let parts = path.split('/').map(|part| match part.len() {
        0..LONG => part,
        _ => "{token}",
    });
    parts.collect::<Vec<_>>().join("/")
}
