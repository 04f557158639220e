use utoipa::OpenApi;

use crate::views::home::HomeResponse;

#[derive(OpenApi)]
#[openapi(paths(current))]
pub struct Api;

/// Get the name of the application
#[utoipa::path(
    get,
    path = "/api",
    tag = "home",
    responses((status = OK, description = "The name of the application.", body = HomeResponse)),
)]
fn current() {}
