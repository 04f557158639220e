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

/// Gives a person a page where a program gets an error as JSON.
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

    // Not for the person who is logged in: who that is, a failing database does not tell.
    let page = Page::for_anyone(&mut parts)
        .await
        .and_then(|page| page.refuse(status, "error.html", json!({ "status": status.as_u16() })));
    let Ok(page) = page else {
        return response;
    };
    in_place_of(response, page)
}

/// The page, with what the answer's other headers say, such as `Retry-After`.
fn in_place_of(answer: Response, page: Response) -> Response {
    let (mut answer, _) = answer.into_parts();
    answer.headers.remove(header::CONTENT_ENCODING);
    answer.headers.remove(header::CONTENT_LENGTH);
    let (page, body) = page.into_parts();
    answer.headers.extend(page.headers);
    Response::from_parts(answer, body)
}

fn names_html(headers: &HeaderMap, name: HeaderName) -> bool {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("text/html"))
}
