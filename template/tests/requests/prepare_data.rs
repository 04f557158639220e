use axum::http::{HeaderName, HeaderValue};
use loco_rs::{app::AppContext, TestServer};
use serde_json::json;

use {{crate_name}}::{models::users, views::auth::LoginResponse};

pub const EMAIL: &str = "new@example.com";
pub const PASSWORD: &str = "12341234";

/// Registers a user.
pub async fn register(request: &TestServer, ctx: &AppContext) -> users::Model {
    let response = request
        .post("/api/auth/register")
        .json(&json!({ "name": "New User", "email": EMAIL, "password": PASSWORD }))
        .await;
    assert_eq!(response.status_code(), 200);
    stored(ctx).await
}

/// The user who has been registered.
pub async fn stored(ctx: &AppContext) -> users::Model {
    users::Model::find_by_email(&ctx.db, EMAIL)
        .await
        .expect("the user is stored")
}

/// How many mails have been sent.
pub fn mails(ctx: &AppContext) -> usize {
    ctx.mailer.as_ref().expect("a mailer").deliveries().count
}

/// Asks for a mail, as `forgot` or `magic-link` does.
pub async fn ask_for_mail(request: &TestServer, path: &str) {
    let response = request
        .post(&format!("/api/auth/{path}"))
        .json(&json!({ "email": EMAIL }))
        .await;
    assert_eq!(response.status_code(), 200);
}

/// Logs in, with the header for further requests.
pub async fn login(request: &TestServer) -> (LoginResponse, (HeaderName, HeaderValue)) {
    let response = request
        .post("/api/auth/login")
        .json(&json!({ "email": EMAIL, "password": PASSWORD }))
        .await;
    let login: LoginResponse = response.json();
    let value = HeaderValue::from_str(&format!("Bearer {}", login.token)).expect("a header");
    (login, (HeaderName::from_static("authorization"), value))
}

/// Has links in mails work as they do in production.
pub fn with_links_of_production(ctx: &AppContext) {
    let mut config = ctx.config.clone();
    config.settings = Some(json!({
        "accounts": {
            "allow_common_passwords": true,
            "mail_after_answer": false,
            "mail_cooldown": 0,
        },
    }));
    users::configure(&config).expect("the settings");
}

/// The path to which the last mail leads.
pub fn link_in_last_mail(ctx: &AppContext) -> String {
    let mails = ctx.mailer.as_ref().expect("a mailer").deliveries().messages;
    // As quoted-printable has it, a line goes on after a `=`.
    let mail = mails.last().expect("a mail").replace("=\r\n", "");
    let (_, link) = mail
        .split_once(&ctx.config.server.host)
        .expect("a link to this service");
    link.split(|end: char| end.is_whitespace() || end == '"')
        .next()
        .expect("its path")
        .to_string()
}

/// The token in that link.
pub fn token_in_last_mail(ctx: &AppContext) -> String {
    let link = link_in_last_mail(ctx);
    let (_, token) = link.rsplit_once(['/', '#']).expect("a token");
    token.to_string()
}
