//! Logging in and out on pages. The JWT that the API answers with is kept in a cookie here.

use axum::http::{HeaderMap, StatusCode, Uri};
use loco_rs::prelude::*;
use serde::Deserialize;

use super::{
    attempt::{too_often, Attempt},
    auth::{begin_session, log_in_by_link, send_magic_link, MagicLinkParams},
    detached::after_the_answer,
    session_cookie::{no_session_cookie, session_cookie},
};
use crate::{
    models::{
        sessions,
        users::{self, Login, LoginParams},
    },
    views::page::{GuestPage, Page},
};

const ACCOUNT: &str = "/account";

/// The page of this service that was wanted, and takes a login.
#[derive(Debug, Deserialize)]
struct Wanted {
    next: Option<String>,
}

#[debug_handler(state = AppContext)]
async fn login_form(GuestPage(page): GuestPage) -> Result<Response> {
    page.show("auth/login.html", data!({}))
}

#[debug_handler]
async fn login(
    _: Attempt,
    page: Page,
    State(ctx): State<AppContext>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
    Form(params): Form<LoginParams>,
) -> Result<Response> {
    match users::Model::log_in(&ctx.db, &params).await? {
        Login::User(user) => {
            let token = begin_session(&ctx, &user, &headers).await?;
            logged_in(&ctx, token, &wanted.path())
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
    logged_out(&ctx, "/")
}

#[debug_handler(state = AppContext)]
async fn magic_link_form(GuestPage(page): GuestPage) -> Result<Response> {
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
    match log_in_by_link(ctx.clone(), token, headers).await? {
        Some((_, token)) => logged_in(&ctx, token, ACCOUNT),
        None => link_is_void(&page, "/magic-link"),
    }
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

impl Wanted {
    /// Only a path: a link to the login must not lead to another site.
    fn path(&self) -> String {
        self.next
            .clone()
            .filter(|path| path.starts_with('/') && !path.starts_with("//") && !path.contains('\\'))
            .filter(|path| path.parse::<Uri>().is_ok())
            .unwrap_or_else(|| ACCOUNT.to_string())
    }
}

fn logged_in(ctx: &AppContext, token: String, path: &str) -> Result<Response> {
    let cookie = session_cookie(ctx, token)?;
    format::render().cookies(&[cookie])?.redirect(path)
}

/// Takes the session's cookie away.
pub(super) fn logged_out(ctx: &AppContext, path: &str) -> Result<Response> {
    let cookie = no_session_cookie(ctx)?;
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
