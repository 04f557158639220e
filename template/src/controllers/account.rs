//! Account settings. Changes that could hand an account over require the current password.

use axum::http::HeaderMap;
use loco_rs::{auth::jwt::UserClaims, prelude::*};
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use uuid::Uuid;

use super::{
    auth::{link_response, null_or_errors, unprocessable},
    detached::{after_response, run_to_completion},
    rate_limit::{too_many_requests, RateLimited},
};
use crate::{
    mailers::auth::AuthMailer,
    models::{
        email_changes::{self, ChangeRequest},
        sessions,
        users::{self, Login},
    },
    views::{
        self,
        account::{AccountResponse, SessionResponse},
    },
};

type User = auth::JWTWithUser<users::Model>;

#[derive(Debug, Deserialize, Serialize, TS{{to_schema}})]
pub struct NameParams {
    pub name: String,
}

#[derive(Debug, Deserialize, Serialize, TS{{to_schema}})]
pub struct EmailParams {
    pub email: String,
    pub current_password: String,
}

#[derive(Debug, Deserialize, Serialize, TS{{to_schema}})]
pub struct PasswordParams {
    pub current_password: String,
    pub new_password: String,
}

#[derive(Debug, Deserialize, Serialize, TS{{to_schema}})]
pub struct DeleteParams {
    pub current_password: String,
}

#[debug_handler]
async fn show(auth: User, State(_): State<AppContext>) -> Result<Response> {
    format::json(AccountResponse::new(&auth.user))
}

#[debug_handler]
async fn change_name(
    auth: User,
    State(ctx): State<AppContext>,
    Json(params): Json<NameParams>,
) -> Result<Response> {
    let user = auth.user.into_active_model();
    match user.rename(&ctx.db, &params.name).await {
        Ok(user) => format::json(AccountResponse::new(&user)),
        Err(ModelError::Validation(errors)) => unprocessable(&errors),
        Err(err) => Err(err.into()),
    }
}

/// Emails a link to the new address, which replaces the old one once it is confirmed.
#[debug_handler]
async fn change_email(
    _: RateLimited,
    auth: User,
    State(ctx): State<AppContext>,
    Json(params): Json<EmailParams>,
) -> Result<Response> {
    if let Some(response) = reject_wrong_password(&ctx, &auth.user, params.current_password).await?
    {
        return Ok(response);
    }
    null_or_errors(request_email_change(ctx, auth.user, params.email).await)
}

/// The page that the link sent to the new address leads to. It has a button, so that mail scanners
/// do not confirm the change.
#[debug_handler]
async fn confirm_email_form(State(_): State<AppContext>) -> Result<Response> {
    format::html(&views::auth::confirm_email_page())
}

#[debug_handler]
async fn confirm_email(
    State(ctx): State<AppContext>,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response> {
    let is_confirmed = confirm_email_change(ctx, token).await?;
    link_response(is_confirmed, &headers)
}

/// Sets a new password and ends the user's other sessions.
#[debug_handler]
async fn change_password(
    _: RateLimited,
    auth: User,
    State(ctx): State<AppContext>,
    Json(params): Json<PasswordParams>,
) -> Result<Response> {
    if let Some(response) = reject_wrong_password(&ctx, &auth.user, params.current_password).await?
    {
        return Ok(response);
    }
    null_or_errors(set_password(ctx, auth.user, auth.claims, params.new_password).await)
}

#[debug_handler]
async fn delete(
    _: RateLimited,
    auth: User,
    State(ctx): State<AppContext>,
    Json(params): Json<DeleteParams>,
) -> Result<Response> {
    if let Some(response) = reject_wrong_password(&ctx, &auth.user, params.current_password).await?
    {
        return Ok(response);
    }
    delete_user(ctx, auth.user).await?;
    format::json(())
}

/// Lists the user's sessions.
#[debug_handler]
async fn list_sessions(auth: User, State(ctx): State<AppContext>) -> Result<Response> {
    format::json(sessions_of(&ctx, &auth.user, &auth.claims).await?)
}

#[debug_handler]
async fn end_session(
    auth: User,
    State(ctx): State<AppContext>,
    Path(pid): Path<Uuid>,
) -> Result<Response> {
    sessions::Model::end_for_user(&ctx.db, auth.user.id, pid).await?;
    format::json(())
}

/// Returns the response to send if the password is wrong.
async fn reject_wrong_password(
    ctx: &AppContext,
    user: &users::Model,
    password: String,
) -> Result<Option<Response>> {
    Ok(match user.confirm_password(&ctx.db, &password).await? {
        Login::User(_) => None,
        Login::InvalidCredentials => Some(unprocessable(&users::wrong_password())?),
        Login::RateLimited(seconds) => Some(too_many_requests(seconds)),
    })
}

/// Lists the user's sessions, marking the one that these claims belong to.
pub(super) async fn sessions_of(
    ctx: &AppContext,
    user: &users::Model,
    claims: &UserClaims,
) -> Result<Vec<SessionResponse>> {
    let current = sessions::session_pid(claims);
    let sessions = sessions::Model::for_user(&ctx.db, user.id).await?;
    Ok(sessions
        .iter()
        .map(|session| SessionResponse::new(session, current))
        .collect())
}

/// Stores the new address and emails a link to it. The response does not reveal whether the address
/// has an account.
pub(super) async fn request_email_change(
    ctx: AppContext,
    user: users::Model,
    email: String,
) -> Result<()> {
    let email = users::normalize_email(&email)?;
    after_response(async move {
        match email_changes::Model::request(&ctx.db, &user, &email).await? {
            ChangeRequest::Accepted { token } => {
                AuthMailer::send_email_change(&ctx, &email, &token).await
            }
            ChangeRequest::Taken(owner) => AuthMailer::send_already_registered(&ctx, *owner).await,
            ChangeRequest::RateLimited => Ok(()),
        }
    })
    .await
}

/// Changes the user's address to the one to which the token was sent, and notifies the old one.
/// Returns whether the token was valid.
pub(super) async fn confirm_email_change(ctx: AppContext, token: String) -> Result<bool> {
    run_to_completion(async move {
        match email_changes::Model::confirm(&ctx.db, &token).await {
            Ok((user, previous)) => {
                tracing::info!(pid = %user.pid, "email address changed");
                if let Some(previous) = previous {
                    let notice =
                        async move { AuthMailer::send_email_changed(&ctx, &previous).await };
                    after_response(notice).await?;
                }
                Ok(true)
            }
            Err(ModelError::EntityNotFound) => Ok(false),
            Err(err) => Err(err.into()),
        }
    })
    .await
}

/// Sets a new password, ends the user's other sessions, and notifies the user by email.
pub(super) async fn set_password(
    ctx: AppContext,
    user: users::Model,
    claims: UserClaims,
    password: String,
) -> Result<()> {
    run_to_completion(async move {
        let session = sessions::session_pid(&claims);
        let user = user.into_active_model();
        let user = user.change_password(&ctx.db, &password, session).await?;
        after_response(async move { AuthMailer::send_password_changed(&ctx, &user).await }).await
    })
    .await
}

pub(super) async fn delete_user(ctx: AppContext, user: users::Model) -> Result<()> {
    run_to_completion(async move {
        let pid = user.pid;
        user.delete(&ctx.db).await?;
        tracing::info!(%pid, "user deleted");
        Ok(())
    })
    .await
}

pub fn routes() -> Routes {
    Routes::new()
        .prefix("/api/account")
        .add("/", get(show))
        .add("/name", post(change_name))
        .add("/email", post(change_email))
        .add("/email/{token}", get(confirm_email_form))
        .add("/email/{token}", post(confirm_email))
        .add("/password", post(change_password))
        .add("/delete", post(delete))
        .add("/sessions", get(list_sessions))
        .add("/sessions/{pid}", axum::routing::delete(end_session))
}
