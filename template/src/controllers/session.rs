//! Logging in and out on pages. The JWT that the API answers with is kept in a cookie here.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use loco_rs::prelude::*;
use serde::Deserialize;

use super::{
    attempt::{too_often, Attempt},
    auth::{begin_session, send_magic_link, use_magic_link, MagicLinkParams},
    detached::after_the_answer,
    middleware::token_cookie,
};
use crate::{
    models::{
        sessions,
        users::{self, Login, LoginParams},
    },
    views::page::Page,
};

/// What was done before one comes to log in.
#[derive(Debug, Deserialize)]
struct LoginQuery {
    done: Option<String>,
}

#[debug_handler(state = AppContext)]
async fn login_form(page: Page, Query(query): Query<LoginQuery>) -> Result<Response> {
    if page.user.is_some() {
        return format::redirect("/account");
    }
    page.show("auth/login.html", data!({ "done": query.done }))
}

#[debug_handler]
async fn login(
    _: Attempt,
    page: Page,
    State(ctx): State<AppContext>,
    headers: HeaderMap,
    Form(params): Form<LoginParams>,
) -> Result<Response> {
    match users::Model::log_in(&ctx.db, &params).await? {
        Login::User(user) => {
            let token = begin_session(&ctx, &user, &headers).await?;
            logged_in(&ctx, token)
        }
        Login::Refused => page.refuse(
            StatusCode::UNAUTHORIZED,
            "auth/login.html",
            data!({ "problem": "error-login", "email": params.email }),
        ),
        Login::TooOften(seconds) => Ok(too_often(seconds)),
    }
}

#[debug_handler]
async fn logout(auth: Option<auth::JWT>, State(ctx): State<AppContext>) -> Result<Response> {
    if let Some(auth) = auth {
        sessions::Model::end(&ctx.db, &auth.claims).await?;
    }
    let cookie = session_cookie(&ctx, String::new(), Duration::ZERO)?;
    format::render().cookies(&[cookie])?.redirect("/")
}

#[debug_handler(state = AppContext)]
async fn magic_link_form(page: Page) -> Result<Response> {
    page.show("auth/magic_link.html", data!({}))
}

/// Mails a link that logs in once. The answer does not tell whether the address is known.
#[debug_handler]
async fn magic_link(
    _: Attempt,
    page: Page,
    State(ctx): State<AppContext>,
    Form(params): Form<MagicLinkParams>,
) -> Result<Response> {
    if !users::is_email(&params.email) {
        return page.refuse(
            StatusCode::UNPROCESSABLE_ENTITY,
            "auth/magic_link.html",
            data!({ "errors": ["email"], "email": params.email }),
        );
    }
    if !users::may_use_magic_links(&params.email) {
        return page.refuse(
            StatusCode::UNPROCESSABLE_ENTITY,
            "auth/magic_link.html",
            data!({ "problem": "error-magic-link", "email": params.email }),
        );
    }
    after_the_answer(send_magic_link(ctx, params.email)).await?;
    format::redirect("/check-your-mail")
}

/// Asks before it logs in: programs that follow the links in a mail do not use up this one.
#[debug_handler]
async fn magic_link_confirm(
    page: Page,
    State(ctx): State<AppContext>,
    Path(token): Path<String>,
) -> Result<Response> {
    let found = users::Model::find_by_magic_token(&ctx.db, &token).await;
    match users::known(found)? {
        Some(_) => page.show("auth/magic_link_confirm.html", data!({})),
        None => link_is_void(&page, "/magic-link"),
    }
}

#[debug_handler]
async fn magic_link_login(
    _: Attempt,
    page: Page,
    State(ctx): State<AppContext>,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response> {
    let found = users::Model::find_by_magic_token(&ctx.db, &token).await;
    let Some(user) = users::known(found)? else {
        return link_is_void(&page, "/magic-link");
    };
    let (_, token) = use_magic_link(ctx.clone(), user, headers).await?;
    logged_in(&ctx, token)
}

/// The page for a link of a mail that was used up or is too old; `again` is where to ask for
/// another one.
pub(super) fn link_is_void(page: &Page, again: &str) -> Result<Response> {
    page.refuse(
        StatusCode::NOT_FOUND,
        "auth/void_link.html",
        data!({ "again": again }),
    )
}

fn logged_in(ctx: &AppContext, token: String) -> Result<Response> {
    let life = Duration::from_secs(ctx.config.get_jwt_config()?.expiration);
    let cookie = session_cookie(ctx, token, life)?;
    format::render().cookies(&[cookie])?.redirect("/account")
}

/// Out of reach for scripts, not sent from other sites' pages, and not without TLS where the
/// service is not reached without it (`server.host`).
fn session_cookie(
    ctx: &AppContext,
    token: String,
    life: Duration,
) -> Result<cookie::Cookie<'static>> {
    let name = token_cookie(ctx.config.get_jwt_config()?)
        .ok_or_else(|| Error::string("auth.jwt.location in config/ names no cookie"))?;
    Ok(cookie::Cookie::build((name.to_string(), token))
        .path("/")
        .http_only(true)
        .same_site(cookie::SameSite::Lax)
        .secure(!ctx.config.server.host.starts_with("http://"))
        .max_age(life.try_into().map_err(Error::wrap)?)
        .build())
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
