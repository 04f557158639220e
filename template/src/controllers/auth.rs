//! Registration, login and the ways back in. Answers never tell whether an address is known.

use axum::http::{header, HeaderMap, StatusCode};
use loco_rs::{controller::ErrorDetail, prelude::*, validation::ModelValidationErrors};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{
    attempt::{too_often, Attempt},
    detached::{after_the_answer, to_its_end},
};
use crate::{
    mailers::auth::AuthMailer,
    models::{
        sessions,
        users::{self, Login, LoginParams, RegisterParams, Registered},
    },
    views::{
        self,
        auth::{CurrentResponse, LoginResponse},
    },
};

#[derive(Debug, Deserialize, Serialize, TS)]
pub struct ForgotParams {
    pub email: String,
}

#[derive(Debug, Deserialize, Serialize, TS)]
pub struct ResetParams {
    pub token: String,
    pub password: String,
}

#[derive(Debug, Deserialize, Serialize, TS)]
pub struct MagicLinkParams {
    pub email: String,
}

#[derive(Debug, Deserialize, Serialize, TS)]
pub struct ResendVerificationParams {
    pub email: String,
}

/// Creates a user and mails a link that verifies the address.
#[debug_handler]
async fn register(
    _: Attempt,
    State(ctx): State<AppContext>,
    Json(params): Json<RegisterParams>,
) -> Result<Response> {
    null_or_faults(register_user(ctx, params).await)
}

/// Where the link in the mail leads. The page has a button: a program that follows the links in mails
/// is not the person.
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
    link_page(verify_address(ctx, token).await?, &headers)
}

#[debug_handler]
async fn login(
    _: Attempt,
    State(ctx): State<AppContext>,
    headers: HeaderMap,
    Json(params): Json<LoginParams>,
) -> Result<Response> {
    match users::Model::log_in(&ctx.db, &params).await? {
        Login::User(user) => logged_in(&ctx, &user, &headers).await,
        Login::Refused => unauthorized("unknown address or wrong password"),
        Login::TooOften(seconds) => Ok(too_often(seconds)),
    }
}

/// Ends the session of the request's JWT.
#[debug_handler]
async fn logout(auth: auth::JWT, State(ctx): State<AppContext>) -> Result<Response> {
    sessions::Model::end(&ctx.db, &auth.claims).await?;
    format::json(())
}

/// Mails a token with which the password can be set anew.
#[debug_handler]
async fn forgot(
    _: Attempt,
    State(ctx): State<AppContext>,
    Json(params): Json<ForgotParams>,
) -> Result<Response> {
    after_the_answer(send_reset_token(ctx, params.email)).await?;
    format::json(())
}

/// Sets the password of the user to whom the token was mailed.
#[debug_handler]
async fn reset(
    _: Attempt,
    State(ctx): State<AppContext>,
    Json(params): Json<ResetParams>,
) -> Result<Response> {
    match reset_password(ctx, params).await {
        Ok(true) => format::json(()),
        Ok(false) => unauthorized("unknown or expired reset token"),
        Err(Error::Model(ModelError::Validation(faults))) => unprocessable(&faults),
        Err(err) => Err(err),
    }
}

#[debug_handler]
async fn current(auth: auth::JWT, State(ctx): State<AppContext>) -> Result<Response> {
    let user = users::Model::find_by_pid(&ctx.db, &auth.claims.pid).await?;
    format::json(CurrentResponse::new(&user))
}

/// Mails a link that logs in once, for a few minutes.
#[debug_handler]
async fn magic_link(
    _: Attempt,
    State(ctx): State<AppContext>,
    Json(params): Json<MagicLinkParams>,
) -> Result<Response> {
    if !users::may_use_magic_links(&params.email) {
        return bad_request("invalid request");
    }
    after_the_answer(send_magic_link(ctx, params.email)).await?;
    format::empty_json()
}

/// Logs in nobody, since programs that scan mails follow the links in them: it takes a POST.
#[debug_handler]
async fn magic_link_get(
    attempt: Attempt,
    state: State<AppContext>,
    headers: HeaderMap,
    token: Path<String>,
) -> Result<Response> {
    if users::settings().strict_links {
        let post = [(header::ALLOW, "POST")];
        return Ok((StatusCode::METHOD_NOT_ALLOWED, post).into_response());
    }
    magic_link_verify(attempt, state, headers, token).await
}

/// Logs in the user to whom the link was mailed.
#[debug_handler]
async fn magic_link_verify(
    _: Attempt,
    State(ctx): State<AppContext>,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response> {
    match log_in_by_link(ctx, token, headers).await? {
        Some((user, token)) => format::json(LoginResponse::new(&user, &token)),
        None => unauthorized("unknown or expired magic link"),
    }
}

/// Mails the verification link again.
#[debug_handler]
async fn resend_verification_email(
    _: Attempt,
    State(ctx): State<AppContext>,
    Json(params): Json<ResendVerificationParams>,
) -> Result<Response> {
    after_the_answer(resend_verification(ctx, params.email)).await?;
    format::json(())
}

/// Registers, and mails what follows.
pub(super) async fn register_user(ctx: AppContext, params: RegisterParams) -> Result<()> {
    to_its_end(async move {
        match users::Model::create_with_password(&ctx.db, &params).await {
            Ok(user) => after_the_answer(send_verification(ctx, user)).await,
            Err(ModelError::EntityAlreadyExists) => {
                after_the_answer(register_again(ctx, params)).await
            }
            Err(err) => Err(err.into()),
        }
    })
    .await
}

async fn send_verification(ctx: AppContext, user: users::Model) -> Result<()> {
    AuthMailer::send_verification(&ctx, user).await
}

async fn register_again(ctx: AppContext, params: RegisterParams) -> Result<()> {
    match users::Model::register_again(&ctx.db, &params).await? {
        Registered::Unverified(user) => AuthMailer::send_verification(&ctx, user).await,
        Registered::Known(user) => AuthMailer::send_already_registered(&ctx, user).await,
        Registered::TooOften => Ok(()),
    }
}

/// Verifies the address to which the token was mailed. Whether the token was valid.
pub(super) async fn verify_address(ctx: AppContext, token: String) -> Result<bool> {
    to_its_end(async move {
        let verified = users::known(users::Model::verify(&ctx.db, &token).await)?;
        if let Some(user) = &verified {
            tracing::info!(pid = %user.pid, "address verified");
        }
        Ok(verified.is_some())
    })
    .await
}

/// Sets the password of the user to whom the token was mailed. Whether the token was valid.
pub(super) async fn reset_password(ctx: AppContext, params: ResetParams) -> Result<bool> {
    to_its_end(async move {
        let reset = users::Model::reset_by_link(&ctx.db, &params.token, &params.password).await;
        Ok(users::known(reset)?.is_some())
    })
    .await
}

/// The user to whom the link with this token was mailed, with the JWT of a session.
pub(super) async fn log_in_by_link(
    ctx: AppContext,
    token: String,
    headers: HeaderMap,
) -> Result<Option<(users::Model, String)>> {
    to_its_end(async move {
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
    match users::known(found)? {
        Some(user) if user.email_verified_at.is_none() => {
            AuthMailer::send_verification(&ctx, user).await
        }
        _ => Ok(()),
    }
}

/// Mails a token with which the password can be set anew to the user with this address, if there is
/// one who was not just mailed.
pub(super) async fn send_reset_token(ctx: AppContext, email: String) -> Result<()> {
    let found = users::Model::find_by_email(&ctx.db, &email).await;
    match users::known(found)? {
        Some(user) if !user.has_reset_mail() => {
            let user = user.into_active_model();
            let user = user.set_forgot_password_sent(&ctx.db).await?;
            AuthMailer::forgot_password(&ctx, &user).await
        }
        _ => Ok(()),
    }
}

/// Mails a magic link to the user with this address, if there is one who was not just mailed.
pub(super) async fn send_magic_link(ctx: AppContext, email: String) -> Result<()> {
    let found = users::Model::find_by_email(&ctx.db, &email).await;
    match users::known(found)? {
        Some(user) if !user.has_magic_link_mail() => {
            let user = user.into_active_model().create_magic_link(&ctx.db).await?;
            AuthMailer::send_magic_link(&ctx, &user).await
        }
        _ => Ok(()),
    }
}

/// Tells whether the link of a mail has worked: a person with a page, a program with JSON.
pub(super) fn link_page(is_valid: bool, headers: &HeaderMap) -> Result<Response> {
    let is_person = headers
        .get(header::ACCEPT)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    match (is_valid, is_person) {
        (true, true) => format::html(&views::auth::verified_page()),
        (true, false) => format::json(()),
        (false, true) => format::render()
            .status(StatusCode::UNAUTHORIZED)
            .html(&views::auth::void_link_page()),
        (false, false) => unauthorized("unknown or expired token"),
    }
}

/// `null` for what was done, or the fields that are not valid.
pub(super) fn null_or_faults(done: Result<()>) -> Result<Response> {
    match done {
        Ok(()) => format::json(()),
        Err(Error::Model(ModelError::Validation(faults))) => unprocessable(&faults),
        Err(err) => Err(err),
    }
}

/// Names the fields that are not valid. Nothing of it depends on who is registered.
pub(super) fn unprocessable(faults: &ModelValidationErrors) -> Result<Response> {
    let errors = ErrorDetail {
        error: Some("unprocessable_entity".to_string()),
        description: Some(users::messages(faults)),
        errors: Some(serde_json::to_value(&faults.errors)?),
    };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, Json(errors)).into_response())
}

async fn logged_in(ctx: &AppContext, user: &users::Model, headers: &HeaderMap) -> Result<Response> {
    let token = begin_session(ctx, user, headers).await?;
    format::json(LoginResponse::new(user, &token))
}

/// Begins a session in the browser, or whatever client has sent these headers, and returns its JWT.
pub(super) async fn begin_session(
    ctx: &AppContext,
    user: &users::Model,
    headers: &HeaderMap,
) -> Result<String> {
    let jwt = ctx.config.get_jwt_config()?;
    match sessions::Model::begin(&ctx.db, user, user_agent(headers), jwt).await {
        Err(ModelError::EntityNotFound) => unauthorized("the password was changed meanwhile"),
        token => Ok(token?),
    }
}

/// What the client says of itself.
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
