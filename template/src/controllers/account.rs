//! What users do with their own accounts. What hands an account over asks for the password again.

use axum::http::HeaderMap;
use loco_rs::{auth::jwt::UserClaims, prelude::*};
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use uuid::Uuid;

use super::{
    attempt::{too_often, Attempt},
    auth::{link_page, null_or_faults, unprocessable},
    detached::{after_the_answer, to_its_end},
};
use crate::{
    mailers::auth::AuthMailer,
    models::{
        email_changes::{self, Change},
        sessions,
        users::{self, Login},
    },
    views::{
        self,
        account::{AccountResponse, SessionResponse},
    },
};

type User = auth::JWTWithUser<users::Model>;

#[derive(Debug, Deserialize, Serialize, TS)]
pub struct NameParams {
    pub name: String,
}

#[derive(Debug, Deserialize, Serialize, TS)]
pub struct EmailParams {
    pub email: String,
    pub current_password: String,
}

#[derive(Debug, Deserialize, Serialize, TS)]
pub struct PasswordParams {
    pub current_password: String,
    pub new_password: String,
}

#[derive(Debug, Deserialize, Serialize, TS)]
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
        Err(ModelError::Validation(faults)) => unprocessable(&faults),
        Err(err) => Err(err.into()),
    }
}

/// Mails a link to the new address, which takes the place of the old one when it is confirmed.
#[debug_handler]
async fn change_email(
    _: Attempt,
    auth: User,
    State(ctx): State<AppContext>,
    Json(params): Json<EmailParams>,
) -> Result<Response> {
    if let Some(answer) = wrong_password(&ctx, &auth.user, params.current_password).await? {
        return Ok(answer);
    }
    null_or_faults(ask_for_email(ctx, auth.user, params.email).await)
}

/// Where the link in the mail to the new address leads: to a page with a button.
#[debug_handler]
async fn confirm_email_form(State(_): State<AppContext>) -> Result<Response> {
    format::html(&views::auth::confirm_page())
}

#[debug_handler]
async fn confirm_email(
    State(ctx): State<AppContext>,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response> {
    let is_confirmed = confirm_new_email(ctx, token).await?;
    link_page(is_confirmed, &headers)
}

/// Sets a new password, and ends the user's other sessions.
#[debug_handler]
async fn change_password(
    _: Attempt,
    auth: User,
    State(ctx): State<AppContext>,
    Json(params): Json<PasswordParams>,
) -> Result<Response> {
    if let Some(answer) = wrong_password(&ctx, &auth.user, params.current_password).await? {
        return Ok(answer);
    }
    null_or_faults(set_password(ctx, auth.user, auth.claims, params.new_password).await)
}

#[debug_handler]
async fn delete(
    _: Attempt,
    auth: User,
    State(ctx): State<AppContext>,
    Json(params): Json<DeleteParams>,
) -> Result<Response> {
    if let Some(answer) = wrong_password(&ctx, &auth.user, params.current_password).await? {
        return Ok(answer);
    }
    delete_user(ctx, auth.user).await?;
    format::json(())
}

/// Where the user is logged in.
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
    sessions::Model::end_of_user(&ctx.db, auth.user.id, pid).await?;
    format::json(())
}

/// The answer to a wrong password.
async fn wrong_password(
    ctx: &AppContext,
    user: &users::Model,
    password: String,
) -> Result<Option<Response>> {
    Ok(match user.confirm_password(&ctx.db, &password).await? {
        Login::User(_) => None,
        Login::Refused => Some(unprocessable(&users::wrong_password())?),
        Login::TooOften(seconds) => Some(too_often(seconds)),
    })
}

/// The sessions of the user, with the one of these claims marked.
pub(super) async fn sessions_of(
    ctx: &AppContext,
    user: &users::Model,
    claims: &UserClaims,
) -> Result<Vec<SessionResponse>> {
    let current = sessions::session_of(claims);
    let sessions = sessions::Model::of_user(&ctx.db, user.id).await?;
    Ok(sessions
        .iter()
        .map(|session| SessionResponse::new(session, current))
        .collect())
}

/// Keeps the new address, and mails a link to it. The answer does not tell whether the address has an
/// account.
pub(super) async fn ask_for_email(
    ctx: AppContext,
    user: users::Model,
    email: String,
) -> Result<()> {
    let email = users::valid_email(&email)?;
    after_the_answer(async move {
        match email_changes::Model::ask(&ctx.db, &user, &email).await? {
            Change::Asked { token } => AuthMailer::send_email_change(&ctx, &email, &token).await,
            Change::Taken(owner) => AuthMailer::send_already_registered(&ctx, *owner).await,
            Change::TooOften => Ok(()),
        }
    })
    .await
}

/// Gives the user the address to which the token was mailed, and tells the old one. Whether the token
/// was valid.
pub(super) async fn confirm_new_email(ctx: AppContext, token: String) -> Result<bool> {
    to_its_end(async move {
        match email_changes::Model::confirm(&ctx.db, &token).await {
            Ok((user, before)) => {
                tracing::info!(pid = %user.pid, "address changed");
                if let Some(before) = before {
                    let notice = async move { AuthMailer::send_email_changed(&ctx, &before).await };
                    after_the_answer(notice).await?;
                }
                Ok(true)
            }
            Err(ModelError::EntityNotFound) => Ok(false),
            Err(err) => Err(err.into()),
        }
    })
    .await
}

/// Sets a new password, ends the user's other sessions, and tells the user by mail.
pub(super) async fn set_password(
    ctx: AppContext,
    user: users::Model,
    claims: UserClaims,
    password: String,
) -> Result<()> {
    to_its_end(async move {
        let session = sessions::session_of(&claims);
        let user = user.into_active_model();
        let user = user.change_password(&ctx.db, &password, session).await?;
        after_the_answer(async move { AuthMailer::send_password_changed(&ctx, &user).await }).await
    })
    .await
}

pub(super) async fn delete_user(ctx: AppContext, user: users::Model) -> Result<()> {
    to_its_end(async move {
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
