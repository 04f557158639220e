//! A person's account on pages: registration, verification, a new password, and the account itself.

use axum::http::StatusCode;
use loco_rs::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    account::{
        ask_for_email, confirm_new_email, delete_user, sessions_of, set_password, DeleteParams,
        EmailParams, NameParams, PasswordParams,
    },
    attempt::{too_often, Attempt},
    auth::{
        register_user, reset_password, send_reset_token, verify_address, ForgotParams, ResetParams,
    },
    detached::after_the_answer,
    session_pages::{link_is_void, logged_out},
};
use crate::{
    mailers::auth::AuthMailer,
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
    if verify_address(ctx, token).await? {
        return format::redirect("/login?done=verified");
    }
    link_is_void(&page, "/account")
}

#[debug_handler(state = AppContext)]
async fn forgot_form(GuestPage(page): GuestPage) -> Result<Response> {
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
    let params = ResetParams {
        token,
        password: params.password,
    };
    match reset_password(ctx, params).await {
        Ok(true) => format::redirect("/login?done=password"),
        Ok(false) => link_is_void(&page, "/forgot"),
        Err(Error::Model(ModelError::Validation(_))) => page.refuse(
            StatusCode::UNPROCESSABLE_ENTITY,
            "auth/reset.html",
            with_password_length(data!({ "errors": ["password"] })),
        ),
        Err(err) => Err(err),
    }
}

/// Who the user is, and where the user is logged in.
#[debug_handler]
async fn account(user: UserPage, State(ctx): State<AppContext>) -> Result<Response> {
    let sessions = sessions_of(&ctx, &user.user, &user.claims).await?;
    user.page
        .show("account/account.html", data!({ "sessions": sessions }))
}

#[debug_handler]
async fn end_session(
    user: UserPage,
    State(ctx): State<AppContext>,
    Path(pid): Path<Uuid>,
) -> Result<Response> {
    sessions::Model::end_of_user(&ctx.db, user.user.id, pid).await?;
    format::redirect("/account?done=session")
}

/// Mails the verification link again.
#[debug_handler]
async fn resend_verification(
    _: Attempt,
    user: UserPage,
    State(ctx): State<AppContext>,
) -> Result<Response> {
    if user.user.email_verified_at.is_none() {
        AuthMailer::send_verification(&ctx, user.user).await?;
    }
    format::redirect("/check-your-mail")
}

#[debug_handler(state = AppContext)]
async fn name_form(user: UserPage) -> Result<Response> {
    let name = &user.user.name;
    user.page.show("account/name.html", data!({ "name": name }))
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
        Err(ModelError::Validation(_)) => refuse(
            &user.page,
            "account/name.html",
            data!({ "errors": ["name"], "name": params.name }),
        ),
        Err(err) => Err(err.into()),
    }
}

#[debug_handler(state = AppContext)]
async fn email_form(user: UserPage) -> Result<Response> {
    user.page.show("account/email.html", data!({}))
}

/// Mails a link to the new address, which takes the place of the old one when it is confirmed.
#[debug_handler]
async fn change_email(
    _: Attempt,
    user: UserPage,
    State(ctx): State<AppContext>,
    Form(params): Form<EmailParams>,
) -> Result<Response> {
    let view = "account/email.html";
    let again = |error: &str| data!({ "errors": [error], "email": params.email });
    match user
        .user
        .confirm_password(&ctx.db, &params.current_password)
        .await?
    {
        Login::User(_) => {}
        Login::Refused => return refuse(&user.page, view, again("current_password")),
        Login::TooOften(seconds) => return Ok(too_often(seconds)),
    }
    match ask_for_email(ctx, user.user, params.email.clone()).await {
        Ok(()) => format::redirect("/account?done=email-asked"),
        Err(Error::Model(ModelError::Validation(_))) => refuse(&user.page, view, again("email")),
        Err(err) => Err(err),
    }
}

/// Asks before it takes the new address: a program that follows the links in a mail is not the person.
#[debug_handler(state = AppContext)]
async fn confirm_email_form(page: Page) -> Result<Response> {
    page.show("account/confirm_email.html", data!({}))
}

#[debug_handler]
async fn confirm_email(
    page: Page,
    State(ctx): State<AppContext>,
    Path(token): Path<String>,
) -> Result<Response> {
    if !confirm_new_email(ctx, token).await? {
        return link_is_void(&page, "/account/email");
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
        .show("account/password.html", with_password_length(data!({})))
}

/// Sets a new password, and ends the user's other sessions.
#[debug_handler]
async fn change_password(
    _: Attempt,
    user: UserPage,
    State(ctx): State<AppContext>,
    Form(params): Form<PasswordParams>,
) -> Result<Response> {
    let view = "account/password.html";
    let again = |error: &str| with_password_length(data!({ "errors": [error] }));
    match user
        .user
        .confirm_password(&ctx.db, &params.current_password)
        .await?
    {
        Login::User(_) => {}
        Login::Refused => return refuse(&user.page, view, again("current_password")),
        Login::TooOften(seconds) => return Ok(too_often(seconds)),
    }
    match set_password(ctx, user.user, user.claims, params.new_password).await {
        Ok(()) => format::redirect("/account?done=password"),
        Err(Error::Model(ModelError::Validation(_))) => {
            refuse(&user.page, view, again("new_password"))
        }
        Err(err) => Err(err),
    }
}

#[debug_handler(state = AppContext)]
async fn delete_form(user: UserPage) -> Result<Response> {
    user.page.show("account/delete.html", data!({}))
}

#[debug_handler]
async fn delete(
    _: Attempt,
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
        Login::Refused => refuse(
            &user.page,
            "account/delete.html",
            data!({ "errors": ["current_password"] }),
        ),
        Login::TooOften(seconds) => Ok(too_often(seconds)),
    }
}

fn refuse(page: &Page, view: &str, data: Value) -> Result<Response> {
    page.refuse(StatusCode::UNPROCESSABLE_ENTITY, view, data)
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
