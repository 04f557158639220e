use axum::{
    extract::Request,
    http::{header, HeaderMap, HeaderName},
    middleware::{self, Next},
    response::Response,
    Router,
};
use loco_rs::{app::AppContext, controller::middleware::MiddlewareLayer, Result};
use serde_json::json;

use crate::views::page::Page;

/// Answers browsers with an error page where other clients get a JSON error.
pub struct ErrorPages;

impl MiddlewareLayer for ErrorPages {
    fn name(&self) -> &'static str {
        "error_pages"
    }

    fn config(&self) -> serde_json::Result<serde_json::Value> {
        Ok(json!({}))
    }

    fn apply(&self, app: Router<AppContext>) -> Result<Router<AppContext>> {
        Ok(app.layer(middleware::from_fn(error_page)))
    }
}

async fn error_page(request: Request, next: Next) -> Response {
    if !mentions_html(request.headers(), header::ACCEPT) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let response = next.run(Request::from_parts(parts.clone(), body)).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || mentions_html(response.headers(), header::CONTENT_TYPE) {
        return response;
    }

    // Rendered without the user, because loading the user fails if the database is down.
    let page = Page::anonymous(&mut parts).await.and_then(|page| {
        page.render_with_status(status, "error.html", json!({ "status": status.as_u16() }))
    });
    let Ok(page) = page else {
        return response;
    };
    with_page(response, page)
}

/// Replaces the body with the page, keeping other headers such as `Retry-After`.
fn with_page(response: Response, page: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_ENCODING);
    parts.headers.remove(header::CONTENT_LENGTH);
    let (page, body) = page.into_parts();
    parts.headers.extend(page.headers);
    Response::from_parts(parts, body)
}

fn mentions_html(headers: &HeaderMap, name: HeaderName) -> bool {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("text/html"))
}
