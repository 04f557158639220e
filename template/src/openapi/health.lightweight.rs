use utoipa::{OpenApi, ToSchema};

#[derive(OpenApi)]
#[openapi(paths(health, ping, readiness))]
pub struct Api;

/// The result of a check.
#[derive(ToSchema)]
struct Health {
    ok: bool,
}

/// Check that the process responds
#[utoipa::path(
    get,
    path = "/_health",
    tag = "health",
    responses((status = OK, description = "The process responds.", body = Health)),
)]
fn health() {}

/// Check that the process responds
#[utoipa::path(
    get,
    path = "/_ping",
    tag = "health",
    responses((status = OK, description = "The process responds.", body = Health)),
)]
fn ping() {}

/// Check that the process can serve requests
#[utoipa::path(
    get,
    path = "/_readiness",
    tag = "health",
    responses((status = OK, description = "The process can serve requests.", body = Health)),
)]
fn readiness() {}
