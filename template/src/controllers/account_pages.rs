//! The pages for registration, email verification, password reset, and account settings.

use axum::http::StatusCode;
use loco_rs::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    account::{
        confirm_email_change, delete_user, request_email_change, sessions_of, set_password,
        DeleteParams, EmailParams, NameParams, PasswordParams,
    },
    auth::{
        register_user, reset_password, send_reset_token, send_verification, verify_address,
        ForgotParams, ResetParams,
    },
    detached::after_response,
    rate_limit::{too_many_requests, RateLimited},
    session_pages::{invalid_link, logged_out},
};
use crate::{
    models::{
        sessions,
        users::{self, Login, RegisterParams},
    },
    views::page::{GuestPage, Page, UserPage},
};

#[derive(Debug, Deserialize)]
struct NewPassword {
    password: String,
}

#[debug_handler(state = AppContext)]
async fn register_form(GuestPage(page): GuestPage) -> Result<Response> {
    page.render("auth/register.html", with_password_length(data!({})))
}

/// Creates a user and emails a verification link. The response does not reveal whether the address
/// is already known.
#[debug_handler]
async fn register(
    _: RateLimited,
    page: Page,
    State(ctx): State<AppContext>,
    Form(params): Form<RegisterParams>,
) -> Result<Response> {
    let values = data!({ "name": params.name, "email": params.email });
    match register_user(ctx, params).await {
        Ok(()) => format::redirect("/check-your-mail"),
        Err(Error::Model(ModelError::Validation(errors))) => {
            // In the same order as on the form.
            let fields = ["name", "email", "password"];
            let invalid = fields
                .iter()
                .filter(|field| errors.errors.contains_key(**field));
            let mut data = with_password_length(values);
            data["errors"] = invalid.copied().collect();
            page.render_with_status(StatusCode::UNPROCESSABLE_ENTITY, "auth/register.html", data)
        }
        Err(err) => Err(err),
    }
}

/// Adds the limits that the hint below a new password's field shows.
fn with_password_length(mut data: Value) -> Value {
    let length = users::password_length();
    data["shortest"] = (*length.start()).into();
    data["longest"] = (*length.end()).into();
    data
}

#[debug_handler(state = AppContext)]
async fn check_your_mail(page: Page) -> Result<Response> {
    page.render("auth/check_your_mail.html", data!({}))
}

/// Asks for confirmation, so that mail scanners that follow links do not verify the address.
#[debug_handler]
async fn verify_form(
    page: Page,
    State(ctx): State<AppContext>,
    Path(token): Path<String>,
) -> Result<Response> {
    let found = users::Model::find_by_verification_token(&ctx.db, &token).await;
    match users::optional(found)? {
        Some(_) => page.render("auth/verify.html", data!({})),
        None => invalid_link(&page, "/account"),
    }
}

#[debug_handler]
async fn verify(
    page: Page,
    State(ctx): State<AppContext>,
    Path(token): Path<String>,
) -> Result<Response> {
    if verify_address(ctx, token).await? {
        return format::redirect("/login?done=verified");
    }
    invalid_link(&page, "/account")
}

#[debug_handler(state = AppContext)]
async fn forgot_form(GuestPage(page): GuestPage) -> Result<Response> {
    page.render("auth/forgot.html", data!({}))
}

/// Emails a password reset link. The response does not reveal whether the address is known.
#[debug_handler]
async fn forgot(
    _: RateLimited,
    page: Page,
    State(ctx): State<AppContext>,
    Form(params): Form<ForgotParams>,
) -> Result<Response> {
    if !users::is_email(&params.email) {
        return page.render_with_status(
            StatusCode::UNPROCESSABLE_ENTITY,
            "auth/forgot.html",
            data!({ "errors": ["email"], "email": params.email }),
        );
    }
    after_response(send_reset_token(ctx, params.email)).await?;
    format::redirect("/check-your-mail")
}

#[debug_handler]
async fn reset_form(
    page: Page,
    State(ctx): State<AppContext>,
    Path(token): Path<String>,
) -> Result<Response> {
    let found = users::Model::find_by_reset_token(&ctx.db, &token).await;
    match users::optional(found)? {
        Some(_) => page.render("auth/reset.html", with_password_length(data!({}))),
        None => invalid_link(&page, "/forgot"),
    }
}

#[debug_handler]
async fn reset(
    _: RateLimited,
    page: Page,
    State(ctx): State<AppContext>,
    Path(token): Path<String>,
    Form(params): Form<NewPassword>,
) -> Result<Response> {
    let params = ResetParams {
        token,
        password: params.password,
    };
    match reset_password(ctx, params).await {
        Ok(true) => format::redirect("/login?done=password"),
        Ok(false) => invalid_link(&page, "/forgot"),
        Err(Error::Model(ModelError::Validation(_))) => page.render_with_status(
            StatusCode::UNPROCESSABLE_ENTITY,
            "auth/reset.html",
            with_password_length(data!({ "errors": ["password"] })),
        ),
        Err(err) => Err(err),
    }
}

/// Shows the user's details and sessions.
#[debug_handler]
async fn account(user: UserPage, State(ctx): State<AppContext>) -> Result<Response> {
    let sessions = sessions_of(&ctx, &user.user, &user.claims).await?;
    user.page
        .render("account/account.html", data!({ "sessions": sessions }))
}

#[debug_handler]
async fn end_session(
    user: UserPage,
    State(ctx): State<AppContext>,
    Path(pid): Path<Uuid>,
) -> Result<Response> {
    sessions::Model::end_for_user(&ctx.db, user.user.id, pid).await?;
    format::redirect("/account?done=session")
}

/// Sends the verification email again.
#[debug_handler]
async fn resend_verification(
    _: RateLimited,
    user: UserPage,
    State(ctx): State<AppContext>,
) -> Result<Response> {
    if user.user.email_verified_at.is_none() {
        after_response(send_verification(ctx, user.user)).await?;
    }
    format::redirect("/check-your-mail")
}

#[debug_handler(state = AppContext)]
async fn name_form(user: UserPage) -> Result<Response> {
    let name = &user.user.name;
    user.page
        .render("account/name.html", data!({ "name": name }))
}

#[debug_handler]
async fn change_name(
    user: UserPage,
    State(ctx): State<AppContext>,
    Form(params): Form<NameParams>,
) -> Result<Response> {
    let renamed = user.user.into_active_model();
    match renamed.rename(&ctx.db, &params.name).await {
        Ok(_) => format::redirect("/account?done=name"),
        Err(ModelError::Validation(_)) => unprocessable(
            &user.page,
            "account/name.html",
            data!({ "errors": ["name"], "name": params.name }),
        ),
        Err(err) => Err(err.into()),
    }
}

#[debug_handler(state = AppContext)]
async fn email_form(user: UserPage) -> Result<Response> {
    user.page.render("account/email.html", data!({}))
}

/// Emails a link to the new address, which replaces the old one once it is confirmed.
#[debug_handler]
async fn change_email(
    _: RateLimited,
    user: UserPage,
    State(ctx): State<AppContext>,
    Form(params): Form<EmailParams>,
) -> Result<Response> {
    let view = "account/email.html";
    let form = |error: &str| data!({ "errors": [error], "email": params.email });
    match user
        .user
        .confirm_password(&ctx.db, &params.current_password)
        .await?
    {
        Login::User(_) => {}
        Login::InvalidCredentials => {
            return unprocessable(&user.page, view, form("current_password"))
        }
        Login::RateLimited(seconds) => return Ok(too_many_requests(seconds)),
    }
    match request_email_change(ctx, user.user, params.email.clone()).await {
        Ok(()) => format::redirect("/account?done=email-asked"),
        Err(Error::Model(ModelError::Validation(_))) => {
            unprocessable(&user.page, view, form("email"))
        }
        Err(err) => Err(err),
    }
}

/// Asks for confirmation, so that mail scanners that follow links do not change the address.
#[debug_handler(state = AppContext)]
async fn confirm_email_form(page: Page) -> Result<Response> {
    page.render("account/confirm_email.html", data!({}))
}

#[debug_handler]
async fn confirm_email(
    page: Page,
    State(ctx): State<AppContext>,
    Path(token): Path<String>,
) -> Result<Response> {
    if !confirm_email_change(ctx, token).await? {
        return invalid_link(&page, "/account/email");
    }
    format::redirect(if page.user.is_some() {
        "/account?done=email"
    } else {
        "/login?done=email"
    })
}

#[debug_handler(state = AppContext)]
async fn password_form(user: UserPage) -> Result<Response> {
    user.page
        .render("account/password.html", with_password_length(data!({})))
}

/// Sets a new password and ends the user's other sessions.
#[debug_handler]
async fn change_password(
    _: RateLimited,
    user: UserPage,
    State(ctx): State<AppContext>,
    Form(params): Form<PasswordParams>,
) -> Result<Response> {
    let view = "account/password.html";
    let form = |error: &str| with_password_length(data!({ "errors": [error] }));
    match user
        .user
        .confirm_password(&ctx.db, &params.current_password)
        .await?
    {
        Login::User(_) => {}
        Login::InvalidCredentials => {
            return unprocessable(&user.page, view, form("current_password"))
        }
        Login::RateLimited(seconds) => return Ok(too_many_requests(seconds)),
    }
    match set_password(ctx, user.user, user.claims, params.new_password).await {
        Ok(()) => format::redirect("/account?done=password"),
        Err(Error::Model(ModelError::Validation(_))) => {
            unprocessable(&user.page, view, form("new_password"))
        }
        Err(err) => Err(err),
    }
}

#[debug_handler(state = AppContext)]
async fn delete_form(user: UserPage) -> Result<Response> {
    user.page.render("account/delete.html", data!({}))
}

#[debug_handler]
async fn delete(
    _: RateLimited,
    user: UserPage,
    State(ctx): State<AppContext>,
    Form(params): Form<DeleteParams>,
) -> Result<Response> {
    match user
        .user
        .confirm_password(&ctx.db, &params.current_password)
        .await?
    {
        Login::User(_) => {
            delete_user(ctx.clone(), user.user).await?;
            logged_out(&ctx, "/?done=deleted")
        }
        Login::InvalidCredentials => unprocessable(
            &user.page,
            "account/delete.html",
            data!({ "errors": ["current_password"] }),
        ),
        Login::RateLimited(seconds) => Ok(too_many_requests(seconds)),
    }
}

fn unprocessable(page: &Page, view: &str, data: Value) -> Result<Response> {
    page.render_with_status(StatusCode::UNPROCESSABLE_ENTITY, view, data)
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
        .add("/account/sessions/{pid}", post(end_session))
        .add("/account/verification", post(resend_verification))
        .add("/account/name", get(name_form))
        .add("/account/name", post(change_name))
        .add("/account/email", get(email_form))
        .add("/account/email", post(change_email))
        .add("/account/email/{token}", get(confirm_email_form))
        .add("/account/email/{token}", post(confirm_email))
        .add("/account/password", get(password_form))
        .add("/account/password", post(change_password))
        .add("/account/delete", get(delete_form))
        .add("/account/delete", post(delete))
}
