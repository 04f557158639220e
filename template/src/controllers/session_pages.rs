//! The login and logout pages. Here the JWT is kept in a cookie.

use axum::http::{HeaderMap, StatusCode, Uri};
use loco_rs::prelude::*;
use serde::Deserialize;

use super::{
    auth::{begin_session, log_in_by_link, send_magic_link, MagicLinkParams},
    detached::after_response,
    rate_limit::{too_many_requests, RateLimited},
    session_cookie::{end_session, expired_session_cookie, session_cookie},
};
use crate::{
    models::users::{self, Login, LoginParams},
    views::page::{GuestPage, Page},
};

const ACCOUNT: &str = "/account";

/// Where to go after the login.
#[derive(Debug, Deserialize)]
struct LoginQuery {
    next: Option<String>,
}

#[debug_handler(state = AppContext)]
async fn login_form(GuestPage(page): GuestPage) -> Result<Response> {
    page.render("auth/login.html", data!({}))
}

#[debug_handler]
async fn login(
    _: RateLimited,
    page: Page,
    previous: Option<auth::JWT>,
    State(ctx): State<AppContext>,
    headers: HeaderMap,
    Query(query): Query<LoginQuery>,
    Form(params): Form<LoginParams>,
) -> Result<Response> {
    match users::Model::log_in(&ctx.db, &params).await? {
        Login::User(user) => {
            let token = begin_session(&ctx, &user, &headers).await?;
            logged_in(&ctx, previous, token, &query.next_path()).await
        }
        Login::InvalidCredentials => page.render_with_status(
            StatusCode::UNAUTHORIZED,
            "auth/login.html",
            data!({ "problem": "error-login", "email": params.email }),
        ),
        Login::RateLimited(seconds) => Ok(too_many_requests(seconds)),
    }
}

#[debug_handler]
async fn logout(auth: Option<auth::JWT>, State(ctx): State<AppContext>) -> Result<Response> {
    end_session(&ctx, auth).await?;
    logged_out(&ctx, "/")
}

#[debug_handler(state = AppContext)]
async fn magic_link_form(GuestPage(page): GuestPage) -> Result<Response> {
    page.render("auth/magic_link.html", data!({}))
}

/// Emails a link that logs in once. The response does not reveal whether the address is known.
#[debug_handler]
async fn magic_link(
    _: RateLimited,
    page: Page,
    State(ctx): State<AppContext>,
    Form(params): Form<MagicLinkParams>,
) -> Result<Response> {
    if !users::is_email(&params.email) {
        return page.render_with_status(
            StatusCode::UNPROCESSABLE_ENTITY,
            "auth/magic_link.html",
            data!({ "errors": ["email"], "email": params.email }),
        );
    }
    if !users::may_use_magic_links(&params.email) {
        return page.render_with_status(
            StatusCode::UNPROCESSABLE_ENTITY,
            "auth/magic_link.html",
            data!({ "problem": "error-magic-link", "email": params.email }),
        );
    }
    after_response(send_magic_link(ctx, params.email)).await?;
    format::redirect("/check-your-mail")
}

/// Asks for confirmation, so that mail scanners that follow links do not use up this one.
#[debug_handler]
async fn magic_link_confirm(
    page: Page,
    State(ctx): State<AppContext>,
    Path(token): Path<String>,
) -> Result<Response> {
    let found = users::Model::find_by_magic_token(&ctx.db, &token).await;
    match users::optional(found)? {
        Some(_) => page.render("auth/magic_link_confirm.html", data!({})),
        None => invalid_link(&page, "/magic-link"),
    }
}

#[debug_handler]
async fn magic_link_login(
    _: RateLimited,
    page: Page,
    previous: Option<auth::JWT>,
    State(ctx): State<AppContext>,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response> {
    match log_in_by_link(ctx.clone(), token, headers).await? {
        Some((_, token)) => logged_in(&ctx, previous, token, ACCOUNT).await,
        None => invalid_link(&page, "/magic-link"),
    }
}

/// The page for an emailed link that has been used or has expired; `retry` is where to request
/// another one.
pub(super) fn invalid_link(page: &Page, retry: &str) -> Result<Response> {
    page.render_with_status(
        StatusCode::NOT_FOUND,
        "auth/void_link.html",
        data!({ "again": retry }),
    )
}

impl LoginQuery {
    /// Accepts only a path: the login must not redirect to another site.
    fn next_path(&self) -> String {
        self.next
            .clone()
            .filter(|path| path.starts_with('/') && !path.starts_with("//") && !path.contains('\\'))
            .filter(|path| path.parse::<Uri>().is_ok())
            .unwrap_or_else(|| ACCOUNT.to_string())
    }
}

/// Sets the new session's cookie, ends the session that the browser had before, and redirects.
async fn logged_in(
    ctx: &AppContext,
    previous: Option<auth::JWT>,
    token: String,
    path: &str,
) -> Result<Response> {
    end_session(ctx, previous).await?;
    let cookie = session_cookie(ctx, token)?;
    format::render().cookies(&[cookie])?.redirect(path)
}

/// Deletes the session's cookie and redirects.
pub(super) fn logged_out(ctx: &AppContext, path: &str) -> Result<Response> {
    let cookie = expired_session_cookie(ctx)?;
    format::render().cookies(&[cookie])?.redirect(path)
}

pub fn routes() -> Routes {
    Routes::new()
        .add("/login", get(login_form))
        .add("/login", post(login))
        .add("/logout", post(logout))
        .add("/magic-link", get(magic_link_form))
        .add("/magic-link", post(magic_link))
        .add("/magic-link/{token}", get(magic_link_confirm))
        .add("/magic-link/{token}", post(magic_link_login))
}
