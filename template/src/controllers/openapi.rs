//! Serves the description of the API, and a viewer for it, if `settings.openapi` is on.

use std::sync::{Arc, LazyLock};

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use loco_rs::prelude::*;
use utoipa_swagger_ui::Config;

use crate::openapi;

/// The viewer needs only its own files.
const VIEWER_POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; \
                             frame-ancestors 'none'; img-src 'self' data:";

static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(openapi::document);
static VIEWER: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/api/openapi.json")));

#[debug_handler]
async fn document() -> Result<Response> {
    format::json(&*DOCUMENT)
}

#[debug_handler]
async fn viewer() -> Result<Response> {
    format::redirect("/api/docs/index.html")
}

#[debug_handler]
async fn viewer_file(Path(file): Path<String>) -> Result<Response> {
    let file = utoipa_swagger_ui::serve(&file, Arc::clone(&VIEWER));
    let Some(file) = file.map_err(|err| Error::string(&err.to_string()))? else {
        return not_found();
    };
    let headers = [
        (CONTENT_TYPE, file.content_type.as_str()),
        (CONTENT_SECURITY_POLICY, VIEWER_POLICY),
    ];
    Ok((headers, file.bytes).into_response())
}

/// No routes unless `settings.openapi` is on.
pub fn routes(ctx: &AppContext) -> Routes {
    let settings = ctx.config.settings.as_ref();
    let is_on = settings.and_then(|settings| settings.get("openapi")?.as_bool());
    if !is_on.unwrap_or_default() {
        return Routes::new();
    }
    Routes::new()
        .prefix("/api")
        .add("/openapi.json", get(document))
        .add("/docs", get(viewer))
        .add("/docs/{*file}", get(viewer_file))
}
