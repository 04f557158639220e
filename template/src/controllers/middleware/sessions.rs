use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{header, HeaderMap, HeaderValue},
    middleware::{self, Next},
    response::Response,
    Router,
};
use loco_rs::{
    app::AppContext,
    auth::jwt::JWT,
    config::{self, JWTLocation, JWTLocationConfig},
    controller::{extractor::auth::extract_token, middleware::MiddlewareLayer, unauthorized},
    Result,
};
use serde_json::json;

use crate::models::sessions;

/// Removes the JWT of an ended session from the request, so that every route treats the client as
/// logged out. Keeps responses of the API out of caches.
pub struct Sessions {
    ctx: Arc<AppContext>,
}

impl Sessions {
    #[must_use]
    pub fn new(ctx: &AppContext) -> Self {
        Self {
            ctx: Arc::new(ctx.clone()),
        }
    }
}

impl MiddlewareLayer for Sessions {
    fn name(&self) -> &'static str {
        "sessions"
    }

    fn config(&self) -> serde_json::Result<serde_json::Value> {
        Ok(json!({}))
    }

    fn apply(&self, app: Router<AppContext>) -> Result<Router<AppContext>> {
        Ok(app.layer(middleware::from_fn_with_state(
            Arc::clone(&self.ctx),
            drop_ended_session,
        )))
    }
}

async fn drop_ended_session(
    State(ctx): State<Arc<AppContext>>,
    request: Request,
    next: Next,
) -> Result<Response> {
    let (mut parts, body) = request.into_parts();
    let jwt = ctx.config.get_jwt_config()?;
    // Anything that is not a JWT may be an API key.
    let claims = extract_token(jwt, &parts)
        .ok()
        .and_then(|token| JWT::new(&jwt.secret).validate(&token).ok());
    if let Some(data) = claims {
        if !sessions::Model::is_active(&ctx.db, &data.claims).await? {
            remove_tokens(&mut parts.headers, jwt);
            if extract_token(jwt, &parts).is_ok() {
                return unauthorized("the session of the token in the URL has ended");
            }
        }
    }
    let is_api = parts.uri.path().starts_with("/api/");
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if is_api {
        let headers = response.headers_mut().entry(header::CACHE_CONTROL);
        headers.or_insert(HeaderValue::from_static("no-store"));
    }
    Ok(response)
}

fn remove_tokens(headers: &mut HeaderMap, jwt: &config::JWT) {
    headers.remove(header::AUTHORIZATION);
    let Some(name) = jwt_cookie_name(jwt) else {
        return;
    };
    let cookies: Vec<String> = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter(|cookie| cookie.split('=').next().map(str::trim) != Some(name))
        .map(|cookie| cookie.trim().to_string())
        .collect();
    headers.remove(header::COOKIE);
    if let Ok(cookies) = HeaderValue::from_str(&cookies.join("; ")) {
        headers.insert(header::COOKIE, cookies);
    }
}

/// The name of the cookie in which Loco looks for the JWT.
#[must_use]
pub fn jwt_cookie_name(jwt: &config::JWT) -> Option<&str> {
    let locations = match &jwt.location {
        Some(JWTLocationConfig::Single(location)) => std::slice::from_ref(location),
        Some(JWTLocationConfig::Multiple(locations)) => locations,
        None => &[],
    };
    locations.iter().find_map(|location| match location {
        JWTLocation::Cookie { name } => Some(name.as_str()),
        _ => None,
    })
}
