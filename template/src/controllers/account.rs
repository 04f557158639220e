//! A person's account on pages: registration, verification, a new password, and the account itself.

use axum::http::StatusCode;
use loco_rs::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::{
    attempt::Attempt,
    auth::{register_user, reset_password, send_reset_token, ForgotParams},
    detached::after_the_answer,
    session::link_is_void,
};
use crate::{
    mailers::auth::AuthMailer,
    models::users::{self, RegisterParams},
    views::page::Page,
};

#[derive(Debug, Deserialize)]
struct NewPassword {
    password: String,
}

#[debug_handler(state = AppContext)]
async fn register_form(page: Page) -> Result<Response> {
    page.show("auth/register.html", with_password_length(data!({})))
}

/// Creates a user and mails a link that verifies the address. The answer does not tell whether the
/// address is known.
#[debug_handler]
async fn register(
    _: Attempt,
    page: Page,
    State(ctx): State<AppContext>,
    Form(params): Form<RegisterParams>,
) -> Result<Response> {
    let typed = data!({ "name": params.name, "email": params.email });
    match register_user(ctx, params).await {
        Ok(()) => format::redirect("/check-your-mail"),
        Err(Error::Model(ModelError::Validation(faults))) => {
            // In the order of the form.
            let fields = ["name", "email", "password"];
            let errors = fields
                .iter()
                .filter(|field| faults.errors.contains_key(**field));
            let mut data = with_password_length(typed);
            data["errors"] = errors.copied().collect();
            page.refuse(StatusCode::UNPROCESSABLE_ENTITY, "auth/register.html", data)
        }
        Err(err) => Err(err),
    }
}

/// What the hint at a field for a new password says.
fn with_password_length(mut data: Value) -> Value {
    let length = users::password_length();
    data["shortest"] = (*length.start()).into();
    data["longest"] = (*length.end()).into();
    data
}

#[debug_handler(state = AppContext)]
async fn check_your_mail(page: Page) -> Result<Response> {
    page.show("auth/check_your_mail.html", data!({}))
}

/// Asks before it verifies: a program that follows the links in a mail is not the person.
#[debug_handler]
async fn verify_form(
    page: Page,
    State(ctx): State<AppContext>,
    Path(token): Path<String>,
) -> Result<Response> {
    let found = users::Model::find_by_verification_token(&ctx.db, &token).await;
    match users::known(found)? {
        Some(_) => page.show("auth/verify.html", data!({})),
        None => link_is_void(&page, "/account"),
    }
}

#[debug_handler]
async fn verify(
    page: Page,
    State(ctx): State<AppContext>,
    Path(token): Path<String>,
) -> Result<Response> {
    let found = users::Model::find_by_verification_token(&ctx.db, &token).await;
    let Some(user) = users::known(found)? else {
        return link_is_void(&page, "/account");
    };
    user.into_active_model().verified(&ctx.db).await?;
    format::redirect("/login?done=verified")
}

#[debug_handler(state = AppContext)]
async fn forgot_form(page: Page) -> Result<Response> {
    page.show("auth/forgot.html", data!({}))
}

/// Mails a link to set a new password. The answer does not tell whether the address is known.
#[debug_handler]
async fn forgot(
    _: Attempt,
    page: Page,
    State(ctx): State<AppContext>,
    Form(params): Form<ForgotParams>,
) -> Result<Response> {
    if !users::is_email(&params.email) {
        return page.refuse(
            StatusCode::UNPROCESSABLE_ENTITY,
            "auth/forgot.html",
            data!({ "errors": ["email"], "email": params.email }),
        );
    }
    after_the_answer(send_reset_token(ctx, params.email)).await?;
    format::redirect("/check-your-mail")
}

#[debug_handler]
async fn reset_form(
    page: Page,
    State(ctx): State<AppContext>,
    Path(token): Path<String>,
) -> Result<Response> {
    let found = users::Model::find_by_reset_token(&ctx.db, &token).await;
    match users::known(found)? {
        Some(_) => page.show("auth/reset.html", with_password_length(data!({}))),
        None => link_is_void(&page, "/forgot"),
    }
}

#[debug_handler]
async fn reset(
    _: Attempt,
    page: Page,
    State(ctx): State<AppContext>,
    Path(token): Path<String>,
    Form(params): Form<NewPassword>,
) -> Result<Response> {
    let found = users::Model::find_by_reset_token(&ctx.db, &token).await;
    let Some(user) = users::known(found)? else {
        return link_is_void(&page, "/forgot");
    };
    match reset_password(ctx, user, params.password).await {
        Ok(()) => format::redirect("/login?done=password"),
        Err(Error::Model(ModelError::Validation(_))) => page.refuse(
            StatusCode::UNPROCESSABLE_ENTITY,
            "auth/reset.html",
            with_password_length(data!({ "errors": ["password"] })),
        ),
        Err(err) => Err(err),
    }
}

#[debug_handler(state = AppContext)]
async fn account(page: Page) -> Result<Response> {
    if page.user.is_none() {
        return format::redirect("/login");
    }
    page.show("account.html", data!({}))
}

/// Mails the verification link again.
#[debug_handler]
async fn resend_verification(
    _: Attempt,
    page: Page,
    State(ctx): State<AppContext>,
) -> Result<Response> {
    let Some(user) = page.user else {
        return format::redirect("/login");
    };
    if user.email_verified_at.is_none() {
        AuthMailer::send_verification(&ctx, user).await?;
    }
    format::redirect("/check-your-mail")
}

pub fn routes() -> Routes {
    Routes::new()
        .add("/register", get(register_form))
        .add("/register", post(register))
        .add("/check-your-mail", get(check_your_mail))
        .add("/verify/{token}", get(verify_form))
        .add("/verify/{token}", post(verify))
        .add("/forgot", get(forgot_form))
        .add("/forgot", post(forgot))
        .add("/reset/{token}", get(reset_form))
        .add("/reset/{token}", post(reset))
        .add("/account", get(account))
        .add("/account/verification", post(resend_verification))
}
