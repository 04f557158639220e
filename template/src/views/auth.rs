use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{mailers::language::Language, models::users};

/// The response to a login: the JWT and its user.
#[derive(Debug, Deserialize, Serialize{{to_schema}})]
pub struct LoginResponse {
    pub token: String,
    pub pid: String,
    pub name: String,
    pub is_verified: bool,
}

impl LoginResponse {
    #[must_use]
    pub fn new(user: &users::Model, token: &str) -> Self {
        Self {
            token: token.to_string(),
            pid: user.pid.to_string(),
            name: user.name.clone(),
            is_verified: user.email_verified_at.is_some(),
        }
    }
}

/// The user that the request's JWT belongs to.
#[derive(Debug, Deserialize, Serialize, TS{{to_schema}})]
pub struct CurrentResponse {
    pub pid: String,
    pub name: String,
    pub email: String,
}

impl CurrentResponse {
    #[must_use]
    pub fn new(user: &users::Model) -> Self {
        Self {
            pid: user.pid.to_string(),
            name: user.name.clone(),
            email: user.email.clone(),
        }
    }
}

/// Asks for confirmation after following a verification link.
#[must_use]
pub fn verify_page() -> String {
    match Language::current() {
        Language::English => form("Verify your email address", "Verify"),
        Language::German => form("E-Mail-Adresse bestätigen", "Bestätigen"),
    }
}

/// Asks for confirmation after following a link sent to a new address.
#[must_use]
pub fn confirm_email_page() -> String {
    match Language::current() {
        Language::English => form("Confirm your new email address", "Confirm"),
        Language::German => form("Neue E-Mail-Adresse bestätigen", "Bestätigen"),
    }
}

/// Reports that the link was valid.
#[must_use]
pub fn verified_page() -> String {
    match Language::current() {
        Language::English => text("Email address verified", "You can close this page."),
        Language::German => text(
            "E-Mail-Adresse bestätigt",
            "Sie können diese Seite schließen.",
        ),
    }
}

/// Reports that the link is no longer valid.
#[must_use]
pub fn invalid_link_page() -> String {
    match Language::current() {
        Language::English => text(
            "This link no longer works",
            "It has already been used, has expired, or a newer email has replaced it.",
        ),
        Language::German => text(
            "Dieser Link gilt nicht mehr",
            "Er wurde schon benutzt, ist zu alt, oder eine neuere E-Mail hat ihn ersetzt.",
        ),
    }
}

fn form(title: &str, button: &str) -> String {
    page(
        title,
        &format!(r#"<form method="post"><button>{button}</button></form>"#),
    )
}

fn text(title: &str, text: &str) -> String {
    page(title, &format!("<p>{text}</p>"))
}

fn page(title: &str, content: &str) -> String {
    let language = match Language::current() {
        Language::English => "en",
        Language::German => "de",
    };
    format!(
        r#"<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
</head>
<body>
<h1>{title}</h1>
{content}
</body>
</html>
"#
    )
}
