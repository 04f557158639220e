use axum::{
    extract::Request,
    http::{header, HeaderMap},
    middleware::{self, Next},
    Router,
};
use fluent_langneg::parse_accepted_languages;
use loco_rs::{controller::middleware::MiddlewareLayer, prelude::*};
use serde_json::json;
use unic_langid::LanguageIdentifier;

use crate::mailers::language::Language;

/// Stores the language that the user has chosen.
pub const LANGUAGE_COOKIE: &str = "language";

/// Makes the emails that a request triggers use the requester's language.
pub struct MailLanguage;

impl MiddlewareLayer for MailLanguage {
    fn name(&self) -> &'static str {
        "mail_language"
    }

    fn config(&self) -> serde_json::Result<serde_json::Value> {
        Ok(json!({}))
    }

    fn apply(&self, app: Router<AppContext>) -> Result<Router<AppContext>> {
        Ok(app.layer(middleware::from_fn(with_language)))
    }
}

async fn with_language(request: Request, next: Next) -> Response {
    let language = Language::negotiate(&preferred_languages(request.headers()));
    language.scope(next.run(request)).await
}

/// The requester's preferred languages, best first: the chosen one, then those of
/// `Accept-Language`.
#[must_use]
pub fn preferred_languages(headers: &HeaderMap) -> Vec<LanguageIdentifier> {
    let chosen = cookie::CookieJar::from_headers(headers)
        .get(LANGUAGE_COOKIE)
        .and_then(|cookie| cookie.value().parse().ok());
    let accepted = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .map(parse_accepted_languages)
        .unwrap_or_default();
    chosen.into_iter().chain(accepted).collect()
}
