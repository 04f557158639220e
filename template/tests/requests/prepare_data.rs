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
    stored_user(ctx).await
}

/// The registered user, as stored.
pub async fn stored_user(ctx: &AppContext) -> users::Model {
    users::Model::find_by_email(&ctx.db, EMAIL)
        .await
        .expect("the user is stored")
}

/// The number of emails sent so far.
pub fn email_count(ctx: &AppContext) -> usize {
    ctx.mailer.as_ref().expect("a mailer").deliveries().count
}

/// Requests an email, for example through `forgot` or `magic-link`.
pub async fn request_email(request: &TestServer, path: &str) {
    let response = request
        .post(&format!("/api/auth/{path}"))
        .json(&json!({ "email": EMAIL }))
        .await;
    assert_eq!(response.status_code(), 200);
}

/// Logs in and returns the response and the header for further requests.
pub async fn login(request: &TestServer) -> (LoginResponse, (HeaderName, HeaderValue)) {
    let response = request
        .post("/api/auth/login")
        .json(&json!({ "email": EMAIL, "password": PASSWORD }))
        .await;
    let login: LoginResponse = response.json();
    let value = HeaderValue::from_str(&format!("Bearer {}", login.token)).expect("a header");
    (login, (HeaderName::from_static("authorization"), value))
}

/// Makes emailed links work as they do in production.
pub fn with_production_links(ctx: &AppContext) {
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

/// The path of the link in the last email.
pub fn link_in_last_email(ctx: &AppContext) -> String {
    let emails = ctx.mailer.as_ref().expect("a mailer").deliveries().messages;
    // In quoted-printable, a `=` at the end of a line continues it.
    let email = emails.last().expect("an email").replace("=\r\n", "");
    let (_, link) = email
        .split_once(&ctx.config.server.host)
        .expect("a link to this service");
    link.split(|end: char| end.is_whitespace() || end == '"')
        .next()
        .expect("its path")
        .to_string()
}

/// The token of that link.
pub fn token_in_last_email(ctx: &AppContext) -> String {
    let link = link_in_last_email(ctx);
    let (_, token) = link.rsplit_once(['/', '#']).expect("a token");
    token.to_string()
}
