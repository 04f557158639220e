use axum::{
    http::{header::CACHE_CONTROL, HeaderValue},
    middleware::map_response,
    response::Response,
    Router,
};
use loco_rs::app::AppContext;
use tower_http::services::ServeDir;

/// The files that Vite names after their content: another content has another name, and a file that is
/// missing is no page.
pub fn router() -> Router<AppContext> {
    Router::new()
        .nest_service("/assets", ServeDir::new("frontend/dist/assets"))
        .layer(map_response(keep))
}

async fn keep<B: Send>(mut response: Response<B>) -> Response<B> {
    if response.status().is_success() {
        let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
        response.headers_mut().insert(CACHE_CONTROL, forever);
    }
    response
}
