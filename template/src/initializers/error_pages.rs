use async_trait::async_trait;
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{header, HeaderMap, HeaderName},
    middleware::{self, Next},
    response::Response,
    Router,
};
use loco_rs::{
    app::{AppContext, Initializer},
    Result,
};
use serde_json::json;

use crate::views::page::Page;

/// Gives a person a page where a program gets an error as JSON.
///
/// It needs the view engine: the initializer of that one comes later in the list.
pub struct ErrorPages;

#[async_trait]
impl Initializer for ErrorPages {
    fn name(&self) -> String {
        "error-pages".to_string()
    }

    async fn after_routes(&self, router: Router, ctx: &AppContext) -> Result<Router> {
        Ok(router.layer(middleware::from_fn_with_state(ctx.clone(), error_page)))
    }
}

async fn error_page(State(ctx): State<AppContext>, request: Request, next: Next) -> Response {
    if !names_html(request.headers(), header::ACCEPT) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let response = next.run(Request::from_parts(parts.clone(), body)).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || names_html(response.headers(), header::CONTENT_TYPE) {
        return response;
    }

    let page = Page::from_request_parts(&mut parts, &ctx)
        .await
        .and_then(|page| page.refuse(status, "error.html", json!({ "status": status.as_u16() })));
    page.unwrap_or(response)
}

fn names_html(headers: &HeaderMap, name: HeaderName) -> bool {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("text/html"))
}
