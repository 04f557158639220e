//! Registration, login and the ways back in. Answers never tell whether an address is known.

use axum::http::{header, HeaderMap, StatusCode};
use loco_rs::{controller::ErrorDetail, prelude::*, validation::ModelValidationErrors};
use serde::{Deserialize, Serialize};

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
    views::auth::{CurrentResponse, LoginResponse},
};

#[derive(Debug, Deserialize, Serialize)]
pub struct ForgotParams {
    pub email: String,
}

#[derive(Debug, Deserialize, Serialize)]
pub struct ResetParams {
    pub token: String,
    pub password: String,
}

#[derive(Debug, Deserialize, Serialize)]
pub struct MagicLinkParams {
    pub email: String,
}

#[derive(Debug, Deserialize, Serialize)]
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
    match register_user(ctx, params).await {
        Ok(()) => format::json(()),
        Err(Error::Model(ModelError::Validation(faults))) => unprocessable(&faults),
        Err(err) => Err(err),
    }
}

/// Marks the address as verified.
#[debug_handler]
async fn verify(State(ctx): State<AppContext>, Path(token): Path<String>) -> Result<Response> {
    let found = users::Model::find_by_verification_token(&ctx.db, &token).await;
    let Some(user) = users::known(found)? else {
        return unauthorized("unknown verification token");
    };
    let user = user.into_active_model().verified(&ctx.db).await?;
    tracing::info!(pid = %user.pid, "address verified");
    format::json(())
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
    let found = users::Model::find_by_reset_token(&ctx.db, &params.token).await;
    let Some(user) = users::known(found)? else {
        return unauthorized("unknown or expired reset token");
    };
    match reset_password(ctx, user, params.password).await {
        Ok(()) => format::json(()),
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

/// Logs in the user to whom the link was mailed.
#[debug_handler]
async fn magic_link_verify(
    _: Attempt,
    State(ctx): State<AppContext>,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response> {
    let found = users::Model::find_by_magic_token(&ctx.db, &token).await;
    let Some(user) = users::known(found)? else {
        return unauthorized("unknown or expired magic link");
    };
    let (user, token) = use_magic_link(ctx, user, headers).await?;
    format::json(LoginResponse::new(&user, &token))
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

/// Sets the password of the user to whom a reset token was mailed.
pub(super) async fn reset_password(
    ctx: AppContext,
    user: users::Model,
    password: String,
) -> Result<()> {
    to_its_end(async move {
        let user = user.into_active_model();
        user.reset_password(&ctx.db, &password).await?;
        Ok(())
    })
    .await
}

/// Uses up the magic link of the user, and returns the user with the JWT of a session.
pub(super) async fn use_magic_link(
    ctx: AppContext,
    user: users::Model,
    headers: HeaderMap,
) -> Result<(users::Model, String)> {
    to_its_end(async move {
        let user = user.into_active_model().clear_magic_link(&ctx.db).await?;
        let token = begin_session(&ctx, &user, &headers).await?;
        Ok((user, token))
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

/// Names the fields that are not valid. Nothing of it depends on who is registered.
fn unprocessable(faults: &ModelValidationErrors) -> Result<Response> {
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
    let user_agent = headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok());
    let jwt = ctx.config.get_jwt_config()?;
    Ok(sessions::Model::begin(&ctx.db, user, user_agent, jwt).await?)
}

pub fn routes() -> Routes {
    Routes::new()
        .prefix("/api/auth")
        .add("/register", post(register))
        .add("/verify/{token}", get(verify))
        .add("/login", post(login))
        .add("/logout", post(logout))
        .add("/forgot", post(forgot))
        .add("/reset", post(reset))
        .add("/current", get(current))
        .add("/magic-link", post(magic_link))
        .add("/magic-link/{token}", get(magic_link_verify))
        .add("/resend-verification-mail", post(resend_verification_email))
}
