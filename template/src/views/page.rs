//! What all pages have in common: the user, the language, and a notice of what was just done.

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
    controllers::middleware::{preferred_languages, LANGUAGE_COOKIE},
    initializers::view_engine::TEXTS,
    models::users,
};

/// How long browsers keep the chosen language.
const LANGUAGE_COOKIE_MAX_AGE: Duration = Duration::from_hours(365 * 24);

/// Renders pages for the sender of the request.
pub struct Page {
    engine: TeraView,
    language: LanguageIdentifier,
    is_language_chosen: bool,
    done: Option<Done>,
    /// The query string without the language, for links that switch the language.
    query: String,
    /// The logged-in user.
    pub user: Option<users::Model>,
}

/// A page for logged-in users. Everybody else is redirected to the login, and back afterwards.
pub struct UserPage {
    pub page: Page,
    pub user: users::Model,
    pub claims: UserClaims,
}

/// A page for guests. Logged-in users are redirected to their account.
pub struct GuestPage(pub Page);

/// What the previous page did. The next one reports it with `done-...` from `assets/i18n`.
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

/// The language chosen with a link on a page.
#[derive(Deserialize)]
struct LanguageQuery {
    lang: Option<String>,
}

#[derive(Deserialize)]
struct DoneQuery {
    done: Option<Done>,
}

/// What every view can use in addition to its own data.
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
    /// Creates a page without loading the user.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no view engine.
    pub async fn anonymous(parts: &mut Parts) -> Result<Self> {
        let ViewEngine(engine) = ViewEngine::from_request_parts(parts, &()).await?;
        let chosen = Query::<LanguageQuery>::try_from_uri(&parts.uri)
            .ok()
            .and_then(|Query(query)| query.lang?.parse().ok());
        let done = Query::<DoneQuery>::try_from_uri(&parts.uri)
            .ok()
            .and_then(|Query(query)| query.done);
        Ok(Self {
            engine,
            done,
            query: query_without_language(&parts.uri),
            is_language_chosen: chosen.is_some(),
            language: language(chosen, &parts.headers),
            user: None,
        })
    }

    /// Renders a view from `assets/views` with `data`, a JSON object.
    ///
    /// # Errors
    ///
    /// Returns an error if the view cannot be rendered.
    pub fn render(&self, view: &str, data: Value) -> Result<Response> {
        self.render_with_status(StatusCode::OK, view, data)
    }

    /// Like [`Self::render`], but with this status.
    ///
    /// # Errors
    ///
    /// Returns an error if the view cannot be rendered.
    pub fn render_with_status(
        &self,
        status: StatusCode,
        view: &str,
        data: Value,
    ) -> Result<Response> {
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
        let max_age = LANGUAGE_COOKIE_MAX_AGE.try_into().map_err(Error::wrap)?;
        Ok(
            cookie::Cookie::build((LANGUAGE_COOKIE, self.language.to_string()))
                .path("/")
                .http_only(true)
                .same_site(cookie::SameSite::Lax)
                .max_age(max_age)
                .build(),
        )
    }
}

impl FromRequestParts<AppContext> for Page {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, ctx: &AppContext) -> Result<Self> {
        let mut page = Self::anonymous(parts).await?;
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
        let page = Page::anonymous(parts)
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
            Err(Error::Unauthorized(_)) => Err(redirect_to_login(parts).into_response()),
            Err(err) => Err(err.into_response()),
        }
    }
}

/// Redirects to the login, and from there back to the requested page.
fn redirect_to_login(parts: &Parts) -> Result<Response> {
    if parts.method != Method::GET {
        return format::redirect("/login");
    }
    let requested = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("next", requested)
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

/// The languages of `assets/i18n`.
fn languages() -> Vec<LanguageIdentifier> {
    let mut languages: Vec<_> = TEXTS.locales().cloned().collect();
    languages.sort();
    languages
}

/// Picks the best available language: the chosen one, or else the most preferred one.
fn language(chosen: Option<LanguageIdentifier>, headers: &HeaderMap) -> LanguageIdentifier {
    let preferred: Vec<LanguageIdentifier> = chosen
        .into_iter()
        .chain(preferred_languages(headers))
        .collect();
    negotiate_languages(
        &preferred,
        &languages(),
        Some(TEXTS.fallback()),
        NegotiationStrategy::Lookup,
    )[0]
    .clone()
}
