//! Registration, login and account recovery. Responses never reveal whether an address is known.

use axum::http::{header, HeaderMap, StatusCode};
use loco_rs::{controller::ErrorDetail, prelude::*, validation::ModelValidationErrors};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{
    detached::{after_response, run_to_completion},
    rate_limit::{too_many_requests, RateLimited},
};
use crate::{
    mailers::auth::AuthMailer,
    models::{
        sessions,
        users::{self, Login, LoginParams, RegisterParams, Reregistration},
    },
    views::{
        self,
        auth::{CurrentResponse, LoginResponse},
    },
};

#[derive(Debug, Deserialize, Serialize, TS{{to_schema}})]
pub struct ForgotParams {
    pub email: String,
}

#[derive(Debug, Deserialize, Serialize, TS{{to_schema}})]
pub struct ResetParams {
    pub token: String,
    pub password: String,
}

#[derive(Debug, Deserialize, Serialize, TS{{to_schema}})]
pub struct MagicLinkParams {
    pub email: String,
}

#[derive(Debug, Deserialize, Serialize, TS{{to_schema}})]
pub struct ResendVerificationParams {
    pub email: String,
}

/// Creates a user and emails a verification link.
#[debug_handler]
async fn register(
    _: RateLimited,
    State(ctx): State<AppContext>,
    Json(params): Json<RegisterParams>,
) -> Result<Response> {
    null_or_errors(register_user(ctx, params).await)
}

/// The page that the verification link leads to. It has a button, so that mail scanners that follow
/// links do not verify the address.
#[debug_handler]
async fn verify_form(
    state: State<AppContext>,
    headers: HeaderMap,
    token: Path<String>,
) -> Result<Response> {
    if users::settings().strict_links {
        return format::html(&views::auth::verify_page());
    }
    verify(state, headers, token).await
}

/// Marks the address as verified.
#[debug_handler]
async fn verify(
    State(ctx): State<AppContext>,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response> {
    link_response(verify_address(ctx, token).await?, &headers)
}

#[debug_handler]
async fn login(
    _: RateLimited,
    State(ctx): State<AppContext>,
    headers: HeaderMap,
    Json(params): Json<LoginParams>,
) -> Result<Response> {
    match users::Model::log_in(&ctx.db, &params).await? {
        Login::User(user) => logged_in(&ctx, &user, &headers).await,
        Login::InvalidCredentials => unauthorized("unknown address or wrong password"),
        Login::RateLimited(seconds) => Ok(too_many_requests(seconds)),
    }
}

/// Ends the session of the request's JWT.
#[debug_handler]
async fn logout(auth: auth::JWT, State(ctx): State<AppContext>) -> Result<Response> {
    sessions::Model::end(&ctx.db, &auth.claims).await?;
    format::json(())
}

/// Emails a password reset token.
#[debug_handler]
async fn forgot(
    _: RateLimited,
    State(ctx): State<AppContext>,
    Json(params): Json<ForgotParams>,
) -> Result<Response> {
    after_response(send_reset_token(ctx, params.email)).await?;
    format::json(())
}

/// Sets a new password for the user to whom the token was emailed.
#[debug_handler]
async fn reset(
    _: RateLimited,
    State(ctx): State<AppContext>,
    Json(params): Json<ResetParams>,
) -> Result<Response> {
    match reset_password(ctx, params).await {
        Ok(true) => format::json(()),
        Ok(false) => unauthorized("unknown or expired reset token"),
        Err(Error::Model(ModelError::Validation(errors))) => unprocessable(&errors),
        Err(err) => Err(err),
    }
}

#[debug_handler]
async fn current(auth: auth::JWT, State(ctx): State<AppContext>) -> Result<Response> {
    let user = users::Model::find_by_pid(&ctx.db, &auth.claims.pid).await?;
    format::json(CurrentResponse::new(&user))
}

/// Emails a magic link that logs in once and expires after a few minutes.
#[debug_handler]
async fn magic_link(
    _: RateLimited,
    State(ctx): State<AppContext>,
    Json(params): Json<MagicLinkParams>,
) -> Result<Response> {
    if !users::may_use_magic_links(&params.email) {
        return bad_request("invalid request");
    }
    after_response(send_magic_link(ctx, params.email)).await?;
    format::empty_json()
}

/// Requires a POST to log in, because mail scanners follow links.
#[debug_handler]
async fn magic_link_get(
    rate_limited: RateLimited,
    state: State<AppContext>,
    headers: HeaderMap,
    token: Path<String>,
) -> Result<Response> {
    if users::settings().strict_links {
        let post = [(header::ALLOW, "POST")];
        return Ok((StatusCode::METHOD_NOT_ALLOWED, post).into_response());
    }
    magic_link_verify(rate_limited, state, headers, token).await
}

/// Logs in the user to whom the magic link was emailed.
#[debug_handler]
async fn magic_link_verify(
    _: RateLimited,
    State(ctx): State<AppContext>,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response> {
    match log_in_by_link(ctx, token, headers).await? {
        Some((user, token)) => format::json(LoginResponse::new(&user, &token)),
        None => unauthorized("unknown or expired magic link"),
    }
}

/// Sends the verification email again.
#[debug_handler]
async fn resend_verification_email(
    _: RateLimited,
    State(ctx): State<AppContext>,
    Json(params): Json<ResendVerificationParams>,
) -> Result<Response> {
    after_response(resend_verification(ctx, params.email)).await?;
    format::json(())
}

/// Registers a user and sends the matching email.
pub(super) async fn register_user(ctx: AppContext, params: RegisterParams) -> Result<()> {
    run_to_completion(async move {
        match users::Model::create_with_password(&ctx.db, &params).await {
            Ok(user) => after_response(send_verification(ctx, user)).await,
            Err(ModelError::EntityAlreadyExists) => {
                after_response(register_again(ctx, params)).await
            }
            Err(err) => Err(err.into()),
        }
    })
    .await
}

pub(super) async fn send_verification(ctx: AppContext, user: users::Model) -> Result<()> {
    AuthMailer::send_verification(&ctx, user).await
}

async fn register_again(ctx: AppContext, params: RegisterParams) -> Result<()> {
    match users::Model::register_again(&ctx.db, &params).await? {
        Reregistration::Unverified(user) => AuthMailer::send_verification(&ctx, user).await,
        Reregistration::Verified(user) => AuthMailer::send_already_registered(&ctx, user).await,
        Reregistration::RateLimited => Ok(()),
    }
}

/// Verifies the address to which the token was emailed. Returns whether the token was valid.
pub(super) async fn verify_address(ctx: AppContext, token: String) -> Result<bool> {
    run_to_completion(async move {
        let verified = users::optional(users::Model::verify(&ctx.db, &token).await)?;
        if let Some(user) = &verified {
            tracing::info!(pid = %user.pid, "email address verified");
        }
        Ok(verified.is_some())
    })
    .await
}

/// Sets a new password for the user to whom the token was emailed. Returns whether the token was
/// valid.
pub(super) async fn reset_password(ctx: AppContext, params: ResetParams) -> Result<bool> {
    run_to_completion(async move {
        let reset = users::Model::reset_by_link(&ctx.db, &params.token, &params.password).await;
        Ok(users::optional(reset)?.is_some())
    })
    .await
}

/// Begins a session for the user to whom the magic link was emailed. Returns the user and the JWT.
pub(super) async fn log_in_by_link(
    ctx: AppContext,
    token: String,
    headers: HeaderMap,
) -> Result<Option<(users::Model, String)>> {
    run_to_completion(async move {
        let jwt = ctx.config.get_jwt_config()?;
        match users::Model::log_in_by_link(&ctx.db, &token, user_agent(&headers), jwt).await {
            Ok(login) => Ok(Some(login)),
            Err(ModelError::EntityNotFound) => Ok(None),
            Err(err) => Err(err.into()),
        }
    })
    .await
}

async fn resend_verification(ctx: AppContext, email: String) -> Result<()> {
    let found = users::Model::find_by_email(&ctx.db, &email).await;
    match users::optional(found)? {
        Some(user) if user.email_verified_at.is_none() => {
            AuthMailer::send_verification(&ctx, user).await
        }
        _ => Ok(()),
    }
}

/// Emails a password reset token to the user with this address, if there is one, unless the last
/// email was sent too recently.
pub(super) async fn send_reset_token(ctx: AppContext, email: String) -> Result<()> {
    let found = users::Model::find_by_email(&ctx.db, &email).await;
    match users::optional(found)? {
        Some(user) if !user.reset_on_cooldown() => {
            let user = user.into_active_model();
            let user = user.set_forgot_password_sent(&ctx.db).await?;
            AuthMailer::forgot_password(&ctx, &user).await
        }
        _ => Ok(()),
    }
}

/// Emails a magic link to the user with this address, if there is one, unless the last email was
/// sent too recently.
pub(super) async fn send_magic_link(ctx: AppContext, email: String) -> Result<()> {
    let found = users::Model::find_by_email(&ctx.db, &email).await;
    match users::optional(found)? {
        Some(user) if !user.magic_link_on_cooldown() => {
            let user = user.into_active_model().create_magic_link(&ctx.db).await?;
            AuthMailer::send_magic_link(&ctx, &user).await
        }
        _ => Ok(()),
    }
}

/// Reports whether an emailed link was valid: as a page for people, as JSON for programs.
pub(super) fn link_response(is_valid: bool, headers: &HeaderMap) -> Result<Response> {
    let is_person = headers
        .get(header::ACCEPT)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    match (is_valid, is_person) {
        (true, true) => format::html(&views::auth::verified_page()),
        (true, false) => format::json(()),
        (false, true) => format::render()
            .status(StatusCode::UNAUTHORIZED)
            .html(&views::auth::invalid_link_page()),
        (false, false) => unauthorized("unknown or expired token"),
    }
}

/// Responds with `null` on success, or with the invalid fields.
pub(super) fn null_or_errors(result: Result<()>) -> Result<Response> {
    match result {
        Ok(()) => format::json(()),
        Err(Error::Model(ModelError::Validation(errors))) => unprocessable(&errors),
        Err(err) => Err(err),
    }
}

/// Responds with the invalid fields. The response does not depend on who is registered.
pub(super) fn unprocessable(errors: &ModelValidationErrors) -> Result<Response> {
    let detail = ErrorDetail {
        error: Some("unprocessable_entity".to_string()),
        description: Some(users::messages(errors)),
        errors: Some(serde_json::to_value(&errors.errors)?),
    };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, Json(detail)).into_response())
}

async fn logged_in(ctx: &AppContext, user: &users::Model, headers: &HeaderMap) -> Result<Response> {
    let token = begin_session(ctx, user, headers).await?;
    format::json(LoginResponse::new(user, &token))
}

/// Begins a session for the client that sent these headers, and returns its JWT.
pub(super) async fn begin_session(
    ctx: &AppContext,
    user: &users::Model,
    headers: &HeaderMap,
) -> Result<String> {
    let jwt = ctx.config.get_jwt_config()?;
    match sessions::Model::begin(&ctx.db, user, user_agent(headers), jwt).await {
        Err(ModelError::EntityNotFound) => unauthorized("the password was changed in the meantime"),
        token => Ok(token?),
    }
}

fn user_agent(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::USER_AGENT)?.to_str().ok()
}

pub fn routes() -> Routes {
    Routes::new()
        .prefix("/api/auth")
        .add("/register", post(register))
        .add("/verify/{token}", get(verify_form))
        .add("/verify/{token}", post(verify))
        .add("/login", post(login))
        .add("/logout", post(logout))
        .add("/forgot", post(forgot))
        .add("/reset", post(reset))
        .add("/current", get(current))
        .add("/magic-link", post(magic_link))
        .add("/magic-link/{token}", get(magic_link_get))
        .add("/magic-link/{token}", post(magic_link_verify))
        .add("/resend-verification-mail", post(resend_verification_email))
}
