//! What all pages have in common: the person who asks for one, and their language.

use std::time::Duration;

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts, HeaderMap, StatusCode},
};
use fluent_langneg::{negotiate_languages, parse_accepted_languages, NegotiationStrategy};
use fluent_templates::Loader;
use loco_rs::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use unic_langid::LanguageIdentifier;

use crate::{initializers::view_engine::TEXTS, models::users};

/// Keeps the language that a person has chosen, for a year.
const LANGUAGE_COOKIE: &str = "language";
const LANGUAGE_COOKIE_LIFE: Duration = Duration::from_hours(365 * 24);

/// Renders pages for the person who sent the request.
pub struct Page {
    engine: TeraView,
    language: LanguageIdentifier,
    is_language_chosen: bool,
    /// Who is logged in.
    pub user: Option<users::Model>,
}

/// The language chosen by a link on a page.
#[derive(Deserialize)]
struct Choice {
    lang: Option<LanguageIdentifier>,
}

/// What every view can use, beside its own data.
#[derive(Serialize)]
struct Context {
    lang: String,
    languages: Vec<String>,
    user: Option<User>,
    #[serde(flatten)]
    data: Value,
}

#[derive(Serialize)]
struct User {
    name: String,
    email: String,
    is_verified: bool,
}

impl Page {
    /// For whoever has sent the request: who that is, is not looked up.
    ///
    /// # Errors
    ///
    /// When the service has no view engine.
    pub async fn for_anyone(parts: &mut Parts) -> Result<Self> {
        let ViewEngine(engine) = ViewEngine::from_request_parts(parts, &()).await?;
        let chosen = Query::<Choice>::try_from_uri(&parts.uri)
            .ok()
            .and_then(|Query(choice)| choice.lang);
        Ok(Self {
            engine,
            is_language_chosen: chosen.is_some(),
            language: language(chosen, &parts.headers),
            user: None,
        })
    }

    /// Renders a view of `assets/views` with `data`, a JSON object.
    ///
    /// # Errors
    ///
    /// When the view cannot be rendered.
    pub fn show(&self, view: &str, data: Value) -> Result<Response> {
        self.refuse(StatusCode::OK, view, data)
    }

    /// As [`Self::show`], with a status that says why it is not what was asked for.
    ///
    /// # Errors
    ///
    /// When the view cannot be rendered.
    pub fn refuse(&self, status: StatusCode, view: &str, data: Value) -> Result<Response> {
        let context = Context {
            lang: self.language.to_string(),
            languages: languages().iter().map(ToString::to_string).collect(),
            user: self.user.as_ref().map(|user| User {
                name: user.name.clone(),
                email: user.email.clone(),
                is_verified: user.email_verified_at.is_some(),
            }),
            data,
        };
        let mut response = format::render()
            .status(status)
            .header(header::CACHE_CONTROL, "no-store");
        if self.is_language_chosen {
            response = response.cookies(&[self.language_cookie()?])?;
        }
        response.view(&self.engine, view, context)
    }

    fn language_cookie(&self) -> Result<cookie::Cookie<'static>> {
        let life = LANGUAGE_COOKIE_LIFE.try_into().map_err(Error::wrap)?;
        Ok(
            cookie::Cookie::build((LANGUAGE_COOKIE, self.language.to_string()))
                .path("/")
                .http_only(true)
                .same_site(cookie::SameSite::Lax)
                .max_age(life)
                .build(),
        )
    }
}

impl FromRequestParts<AppContext> for Page {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, ctx: &AppContext) -> Result<Self> {
        let mut page = Self::for_anyone(parts).await?;
        page.user = match auth::JWTWithUser::from_request_parts(parts, ctx).await {
            Ok(auth) => Some(auth.user),
            Err(Error::Unauthorized(_)) => None,
            Err(err) => return Err(err),
        };
        Ok(page)
    }
}

/// The languages in `assets/i18n`.
fn languages() -> Vec<LanguageIdentifier> {
    let mut languages: Vec<_> = TEXTS.locales().cloned().collect();
    languages.sort();
    languages
}

/// The first of the languages that the person asks for, now, earlier or by the browser's settings,
/// in which there are texts.
fn language(chosen: Option<LanguageIdentifier>, headers: &HeaderMap) -> LanguageIdentifier {
    let kept = cookie::CookieJar::from_headers(headers)
        .get(LANGUAGE_COOKIE)
        .and_then(|cookie| cookie.value().parse().ok());
    let accepted = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .map(parse_accepted_languages)
        .unwrap_or_default();
    let wanted: Vec<LanguageIdentifier> = chosen.into_iter().chain(kept).chain(accepted).collect();

    negotiate_languages(
        &wanted,
        &languages(),
        Some(TEXTS.fallback()),
        NegotiationStrategy::Lookup,
    )[0]
    .clone()
}
