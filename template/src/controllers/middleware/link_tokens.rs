use axum::{
    extract::{MatchedPath, Request},
    http::Uri,
    middleware::{self, Next},
    response::Response,
    Router,
};
use loco_rs::{app::AppContext, controller::middleware::MiddlewareLayer, Result};
use serde_json::json;

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
    let path = request.extensions().get::<MatchedPath>()?.as_str();
    if !path.ends_with("/{token}") {
        return None;
    }
    let mut uri = path.to_string();
    if let Some(query) = request.uri().query() {
        uri.push('?');
        uri.push_str(query);
    }
    uri.parse().ok()
}
