use axum::{
    http::{header::CACHE_CONTROL, HeaderValue},
    middleware::map_response,
    response::Response,
    Router,
};
use loco_rs::app::AppContext;
use tower_http::services::ServeDir;

/// Serves the files that Vite names by content hash. They never change, and a missing one is a 404
/// rather than the front end's page.
pub fn router() -> Router<AppContext> {
    Router::new()
        .nest_service("/assets", ServeDir::new("frontend/dist/assets"))
        .layer(map_response(cache_forever))
}

async fn cache_forever<B: Send>(mut response: Response<B>) -> Response<B> {
    if response.status().is_success() {
        let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
        response.headers_mut().insert(CACHE_CONTROL, forever);
    }
    response
}
