use utoipa::OpenApi;

use super::{
    auth::{AuthErrors, Done, RateErrors},
    responses::{BodyErrors, ParameterErrors},
};
use crate::{models::users::LoginParams, views::auth::CurrentResponse};

#[derive(OpenApi)]
#[openapi(
    paths(log_in, log_in_with_link, log_out),
    tags((
        name = "session",
        description = "Logins of browsers, which keep the JWT in a cookie that scripts cannot read.",
    )),
)]
pub struct Api;

/// Log in with a password
#[utoipa::path(
    post,
    path = "/api/session",
    tag = "session",
    request_body(
        content = LoginParams,
        example = json!({
            "email": "user@example.com",
            "password": "correct horse battery staple",
        }),
    ),
    responses(
        (
            status = OK,
            description = "A session has begun.",
            body = CurrentResponse,
            headers(("Set-Cookie" = String, description = "The JWT.")),
        ),
        AuthErrors,
        BodyErrors,
        RateErrors,
    ),
)]
fn log_in() {}

/// Log in with a magic link
#[utoipa::path(
    post,
    path = "/api/session/{token}",
    tag = "session",
    params(("token" = String, Path, description = "From the email.")),
    responses(
        (
            status = OK,
            description = "A session has begun.",
            body = CurrentResponse,
            headers(("Set-Cookie" = String, description = "The JWT.")),
        ),
        AuthErrors,
        ParameterErrors,
        RateErrors,
    ),
)]
fn log_in_with_link() {}

/// Log out
#[utoipa::path(delete, path = "/api/session", tag = "session", responses(Done))]
fn log_out() {}
