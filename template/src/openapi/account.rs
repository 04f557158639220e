use utoipa::OpenApi;

use super::{
    auth::{AuthErrors, Done, Null, RateErrors},
    responses::{BodyErrors, ErrorResponse, ParameterErrors},
};
use crate::{
    controllers::account::{DeleteParams, EmailParams, NameParams, PasswordParams},
    views::account::{AccountResponse, SessionResponse},
};

#[derive(OpenApi)]
#[openapi(
    paths(
        show_account,
        change_name,
        change_email,
        confirm_email_form,
        confirm_email,
        change_password,
        delete_account,
        list_sessions,
        end_session,
    ),
    tags((name = "account", description = "The user's own account.")),
)]
pub struct Api;

/// Get the user's account
#[utoipa::path(
    get,
    path = "/api/account",
    tag = "account",
    security(("jwt" = [])),
    responses(
        (status = OK, description = "The account.", body = AccountResponse),
        AuthErrors,
    ),
)]
fn show_account() {}

/// Change the user's name
#[utoipa::path(
    post,
    path = "/api/account/name",
    tag = "account",
    security(("jwt" = [])),
    request_body(content = NameParams, example = json!({ "name": "User" })),
    responses(
        (status = OK, description = "The account with its new name.", body = AccountResponse),
        AuthErrors,
        BodyErrors,
    ),
)]
fn change_name() {}

/// Email a link to a new address, which replaces the old one once it is confirmed
///
/// The response does not reveal whether the new address is known.
#[utoipa::path(
    post,
    path = "/api/account/email",
    tag = "account",
    security(("jwt" = [])),
    request_body(
        content = EmailParams,
        example = json!({
            "email": "new@example.com",
            "current_password": "correct horse battery staple",
        }),
    ),
    responses(Done, AuthErrors, BodyErrors, RateErrors),
)]
fn change_email() {}

/// Show the page of a link to a new address
#[utoipa::path(
    get,
    path = "/api/account/email/{token}",
    tag = "account",
    params(("token" = String, Path, description = "From the email.")),
    responses(
        (
            status = OK,
            description = "A page with a button that confirms the address.",
            content((String = "text/html")),
        ),
        ParameterErrors,
    ),
)]
fn confirm_email_form() {}

/// Confirm a new address
#[utoipa::path(
    post,
    path = "/api/account/email/{token}",
    tag = "account",
    params(("token" = String, Path, description = "From the email.")),
    responses(
        (
            status = OK,
            description = "The account has the new address.",
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
fn confirm_email() {}

/// Set a new password and end the user's other sessions
#[utoipa::path(
    post,
    path = "/api/account/password",
    tag = "account",
    security(("jwt" = [])),
    request_body(
        content = PasswordParams,
        example = json!({
            "current_password": "correct horse battery staple",
            "new_password": "new horse battery staple",
        }),
    ),
    responses(Done, AuthErrors, BodyErrors, RateErrors),
)]
fn change_password() {}

/// Delete the user
#[utoipa::path(
    post,
    path = "/api/account/delete",
    tag = "account",
    security(("jwt" = [])),
    request_body(
        content = DeleteParams,
        example = json!({ "current_password": "correct horse battery staple" }),
    ),
    responses(Done, AuthErrors, BodyErrors, RateErrors),
)]
fn delete_account() {}

/// List the user's sessions
#[utoipa::path(
    get,
    path = "/api/account/sessions",
    tag = "account",
    security(("jwt" = [])),
    responses(
        (status = OK, description = "The sessions.", body = Vec<SessionResponse>),
        AuthErrors,
    ),
)]
fn list_sessions() {}

/// End one of the user's sessions
#[utoipa::path(
    delete,
    path = "/api/account/sessions/{pid}",
    tag = "account",
    security(("jwt" = [])),
    params(("pid" = Uuid, Path, description = "As in the list of sessions.")),
    responses(Done, AuthErrors, ParameterErrors),
)]
fn end_session() {}
