//! What all pages have in common: the person who asks for one, their language, and what was just done.

use std::time::Duration;

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts, uri::PathAndQuery, HeaderMap, Method, StatusCode, Uri},
};
use fluent_langneg::{negotiate_languages, NegotiationStrategy};
use fluent_templates::Loader;
use loco_rs::{auth::jwt::UserClaims, prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use unic_langid::LanguageIdentifier;

use crate::{
    controllers::middleware::{wanted_languages, LANGUAGE_COOKIE},
    initializers::view_engine::TEXTS,
    models::users,
};

/// How long a browser keeps the language that a person has chosen.
const LANGUAGE_COOKIE_LIFE: Duration = Duration::from_hours(365 * 24);

/// Renders pages for the person who sent the request.
pub struct Page {
    engine: TeraView,
    language: LanguageIdentifier,
    is_language_chosen: bool,
    done: Option<Done>,
    /// The query of the page without the language, to follow one.
    query: String,
    /// Who is logged in.
    pub user: Option<users::Model>,
}

/// A page for users. Everybody else is sent to log in, and comes back then.
pub struct UserPage {
    pub page: Page,
    pub user: users::Model,
    pub claims: UserClaims,
}

/// A page for those who are not logged in. Users are sent to their account.
pub struct GuestPage(pub Page);

/// What the page before has done. It is told on the next one: `done-...` in `assets/i18n`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Done {
    Deleted,
    Email,
    EmailAsked,
    Name,
    Password,
    Session,
    Verified,
}

/// The language chosen by a link on a page.
#[derive(Deserialize)]
struct Choice {
    lang: Option<String>,
}

#[derive(Deserialize)]
struct WhatWasDone {
    done: Option<Done>,
}

/// What every view can use, beside its own data.
#[derive(Serialize)]
struct Context {
    lang: String,
    languages: Vec<String>,
    query: String,
    done: Option<Done>,
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
            .and_then(|Query(choice)| choice.lang?.parse().ok());
        let done = Query::<WhatWasDone>::try_from_uri(&parts.uri)
            .ok()
            .and_then(|Query(what)| what.done);
        Ok(Self {
            engine,
            done,
            query: query_without_language(&parts.uri),
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
            query: self.query.clone(),
            done: self.done,
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

impl FromRequestParts<AppContext> for UserPage {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, ctx: &AppContext) -> Result<Self, Response> {
        let page = Page::for_anyone(parts)
            .await
            .map_err(IntoResponse::into_response)?;
        match auth::JWTWithUser::<users::Model>::from_request_parts(parts, ctx).await {
            Ok(auth) => Ok(Self {
                page: Page {
                    user: Some(auth.user.clone()),
                    ..page
                },
                user: auth.user,
                claims: auth.claims,
            }),
            Err(Error::Unauthorized(_)) => Err(to_login(parts).into_response()),
            Err(err) => Err(err.into_response()),
        }
    }
}

/// To log in, and then to the page that was asked for.
fn to_login(parts: &Parts) -> Result<Response> {
    if parts.method != Method::GET {
        return format::redirect("/login");
    }
    let wanted = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("next", wanted)
        .finish();
    format::redirect(&format!("/login?{query}"))
}

impl FromRequestParts<AppContext> for GuestPage {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, ctx: &AppContext) -> Result<Self, Response> {
        let page = Page::from_request_parts(parts, ctx)
            .await
            .map_err(IntoResponse::into_response)?;
        if page.user.is_some() {
            return Err(format::redirect("/account").into_response());
        }
        Ok(Self(page))
    }
}

fn query_without_language(uri: &Uri) -> String {
    let query = uri.query().unwrap_or_default().as_bytes();
    let mut rest = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query) {
        if name != "lang" {
            rest.append_pair(&name, &value);
        }
    }
    rest.finish()
}

/// The languages in `assets/i18n`.
fn languages() -> Vec<LanguageIdentifier> {
    let mut languages: Vec<_> = TEXTS.locales().cloned().collect();
    languages.sort();
    languages
}

/// The first of the languages that the person wants in which there are texts.
fn language(chosen: Option<LanguageIdentifier>, headers: &HeaderMap) -> LanguageIdentifier {
    let wanted: Vec<LanguageIdentifier> = chosen
        .into_iter()
        .chain(wanted_languages(headers))
        .collect();
    negotiate_languages(
        &wanted,
        &languages(),
        Some(TEXTS.fallback()),
        NegotiationStrategy::Lookup,
    )[0]
    .clone()
}
