//! Browser sessions. The JWT is kept in a cookie that scripts cannot read.

use axum::http::HeaderMap;
use loco_rs::prelude::*;

use super::{
    auth::{begin_session, log_in_by_link},
    rate_limit::{too_many_requests, RateLimited},
    session_cookie::{end_session, expired_session_cookie, session_cookie},
};
use crate::{
    models::users::{self, Login, LoginParams},
    views::auth::CurrentResponse,
};

#[debug_handler]
async fn log_in(
    _: RateLimited,
    previous: Option<auth::JWT>,
    State(ctx): State<AppContext>,
    headers: HeaderMap,
    Json(params): Json<LoginParams>,
) -> Result<Response> {
    match users::Model::log_in(&ctx.db, &params).await? {
        Login::User(user) => {
            let token = begin_session(&ctx, &user, &headers).await?;
            logged_in(&ctx, previous, &user, token).await
        }
        Login::InvalidCredentials => unauthorized("unknown address or wrong password"),
        Login::RateLimited(seconds) => Ok(too_many_requests(seconds)),
    }
}

/// Logs in the user to whom the magic link was emailed.
#[debug_handler]
async fn log_in_with_link(
    _: RateLimited,
    previous: Option<auth::JWT>,
    State(ctx): State<AppContext>,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response> {
    match log_in_by_link(ctx.clone(), token, headers).await? {
        Some((user, token)) => logged_in(&ctx, previous, &user, token).await,
        None => unauthorized("unknown or expired magic link"),
    }
}

#[debug_handler]
async fn log_out(auth: Option<auth::JWT>, State(ctx): State<AppContext>) -> Result<Response> {
    end_session(&ctx, auth).await?;
    format::render()
        .cookies(&[expired_session_cookie(&ctx)?])?
        .json(())
}

/// Sets the new session's cookie, and ends the session that the browser had before.
async fn logged_in(
    ctx: &AppContext,
    previous: Option<auth::JWT>,
    user: &users::Model,
    token: String,
) -> Result<Response> {
    end_session(ctx, previous).await?;
    format::render()
        .cookies(&[session_cookie(ctx, token)?])?
        .json(CurrentResponse::new(user))
}

pub fn routes() -> Routes {
    Routes::new()
        .prefix("/api/session")
        .add("/", post(log_in))
        .add("/", delete(log_out))
        .add("/{token}", post(log_in_with_link))
}
