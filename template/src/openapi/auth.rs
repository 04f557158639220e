use utoipa::{
    openapi::{
        schema::Type,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
        ObjectBuilder, OpenApi, RefOr, Schema,
    },
    IntoResponses, Modify, PartialSchema, ToSchema,
};

use super::responses::{BodyErrors, ErrorResponse, ParameterErrors};
use crate::{
    controllers::auth::{ForgotParams, MagicLinkParams, ResendVerificationParams, ResetParams},
    models::users::{LoginParams, RegisterParams},
    views::auth::{CurrentResponse, LoginResponse},
};

#[derive(utoipa::OpenApi)]
#[openapi(
    paths(
        register,
        verify_form,
        verify,
        login,
        logout,
        forgot,
        reset,
        current,
        magic_link,
        magic_link_get,
        magic_link_verify,
        resend_verification_email,
    ),
    modifiers(&Jwt),
    tags((name = "auth", description = "Registration, login and account recovery.")),
)]
pub struct Api;

/// The authentication by JWT.
struct Jwt;

impl Modify for Jwt {
    fn modify(&self, document: &mut OpenApi) {
        let jwt = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("The `token` of a login."));
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("jwt", SecurityScheme::Http(jwt.build()));
    }
}

/// The JSON value `null`, for responses without content.
pub struct Null;

impl PartialSchema for Null {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Null).into()
    }
}

impl ToSchema for Null {}

/// An empty JSON object.
#[derive(ToSchema)]
pub struct Empty {}

/// Success, without content.
#[derive(IntoResponses)]
#[response(status = OK, description = "Success.")]
pub struct Done(Null);

/// Errors of operations that require credentials.
#[derive(IntoResponses)]
pub enum AuthErrors {
    /// The credentials are missing, wrong or no longer valid.
    #[response(status = UNAUTHORIZED)]
    Unauthorized(ErrorResponse),
}

/// Errors of rate-limited operations.
#[derive(IntoResponses)]
pub enum RateErrors {
    /// Too many attempts by this client.
    #[response(status = TOO_MANY_REQUESTS, headers(("Retry-After" = u32, description = "Seconds after which to try again.")))]
    TooMany(ErrorResponse),
}

/// Create a user and email a verification link
///
/// The response does not reveal whether the address is known.
#[utoipa::path(
    post,
    path = "/api/auth/register",
    tag = "auth",
    request_body(
        content = RegisterParams,
        example = json!({
            "email": "user@example.com",
            "name": "User",
            "password": "correct horse battery staple",
        }),
    ),
    responses(Done, BodyErrors, RateErrors),
)]
fn register() {}

/// Show the page of a verification link
#[utoipa::path(
    get,
    path = "/api/auth/verify/{token}",
    tag = "auth",
    params(("token" = String, Path, description = "From the email.")),
    responses(
        (
            status = OK,
            description = "A page with a button that verifies the address.",
            content((String = "text/html"), (Null = "application/json")),
        ),
        (
            status = UNAUTHORIZED,
            description = "The link has expired, or was used or replaced.",
            content((ErrorResponse = "application/json"), (String = "text/html")),
        ),
        ParameterErrors,
    ),
)]
fn verify_form() {}

/// Verify an email address
#[utoipa::path(
    post,
    path = "/api/auth/verify/{token}",
    tag = "auth",
    params(("token" = String, Path, description = "From the email.")),
    responses(
        (
            status = OK,
            description = "The address is verified.",
            content((Null = "application/json"), (String = "text/html")),
        ),
        (
            status = UNAUTHORIZED,
            description = "The link has expired, or was used or replaced.",
            content((ErrorResponse = "application/json"), (String = "text/html")),
        ),
        ParameterErrors,
    ),
)]
fn verify() {}

/// Log in with a password
#[utoipa::path(
    post,
    path = "/api/auth/login",
    tag = "auth",
    request_body(
        content = LoginParams,
        example = json!({
            "email": "user@example.com",
            "password": "correct horse battery staple",
        }),
    ),
    responses(
        (status = OK, description = "A session has begun.", body = LoginResponse),
        AuthErrors,
        BodyErrors,
        RateErrors,
    ),
)]
fn login() {}

/// Log out
#[utoipa::path(
    post,
    path = "/api/auth/logout",
    tag = "auth",
    security(("jwt" = [])),
    responses(Done, AuthErrors),
)]
fn logout() {}

/// Email a link to set a new password
///
/// The response does not reveal whether the address is known.
#[utoipa::path(
    post,
    path = "/api/auth/forgot",
    tag = "auth",
    request_body(
        content = ForgotParams,
        example = json!({ "email": "user@example.com" }),
    ),
    responses(Done, BodyErrors, RateErrors),
)]
fn forgot() {}

/// Set a new password with an emailed link
#[utoipa::path(
    post,
    path = "/api/auth/reset",
    tag = "auth",
    request_body(
        content = ResetParams,
        example = json!({ "token": "from-the-email", "password": "new horse battery staple" }),
    ),
    responses(Done, AuthErrors, BodyErrors, RateErrors),
)]
fn reset() {}

/// Get the current user
#[utoipa::path(
    get,
    path = "/api/auth/current",
    tag = "auth",
    security(("jwt" = [])),
    responses(
        (status = OK, description = "The user.", body = CurrentResponse),
        AuthErrors,
    ),
)]
fn current() {}

/// Email a magic link
///
/// The response does not reveal whether the address is known.
#[utoipa::path(
    post,
    path = "/api/auth/magic-link",
    tag = "auth",
    request_body(
        content = MagicLinkParams,
        example = json!({ "email": "user@example.com" }),
    ),
    responses(
        (status = OK, description = "Success.", body = Empty),
        BodyErrors,
        RateErrors,
    ),
)]
fn magic_link() {}

/// Refuse to log in, since mail scanners follow links
#[utoipa::path(
    get,
    path = "/api/auth/magic-link/{token}",
    tag = "auth",
    params(("token" = String, Path, description = "From the email.")),
    responses(
        (status = OK, description = "A session has begun.", body = LoginResponse),
        AuthErrors,
        (status = METHOD_NOT_ALLOWED, description = "Use POST."),
        ParameterErrors,
        RateErrors,
    ),
)]
fn magic_link_get() {}

/// Log in with a magic link
#[utoipa::path(
    post,
    path = "/api/auth/magic-link/{token}",
    tag = "auth",
    params(("token" = String, Path, description = "From the email.")),
    responses(
        (status = OK, description = "A session has begun.", body = LoginResponse),
        AuthErrors,
        ParameterErrors,
        RateErrors,
    ),
)]
fn magic_link_verify() {}

/// Email a verification link again
///
/// The response does not reveal whether the address is known.
#[utoipa::path(
    post,
    path = "/api/auth/resend-verification-mail",
    tag = "auth",
    request_body(
        content = ResendVerificationParams,
        example = json!({ "email": "user@example.com" }),
    ),
    responses(Done, BodyErrors, RateErrors),
)]
fn resend_verification_email() {}
