//! Serves the front end embedded in the binary: its files, and its page for every other path.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use loco_rs::prelude::*;

static DIST: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/frontend/dist"); // from `npm run build`

#[debug_handler]
async fn page() -> Result<Response> {
    serve("index.html")
}

#[debug_handler]
async fn file_or_page(Path(path): Path<String>) -> Result<Response> {
    serve(&path)
}

fn serve(path: &str) -> Result<Response> {
    // Vite names these by content hash, so they never change.
    let (file, cache_control) = if path.starts_with("assets/") {
        (DIST.get_file(path), "public, max-age=31536000, immutable")
    } else {
        let page = || DIST.get_file("index.html");
        (DIST.get_file(path).or_else(page), "no-cache")
    };
    let Some(file) = file else {
        return not_found();
    };
    let content_type = mime_guess::from_path(file.path()).first_or_octet_stream();
    let headers = [
        (CONTENT_TYPE, content_type.as_ref()),
        (CACHE_CONTROL, cache_control),
    ];
    Ok((headers, file.contents()).into_response())
}

pub fn routes() -> Routes {
    Routes::new()
        .add("/", get(page))
        .add("/{*path}", get(file_or_page))
}
