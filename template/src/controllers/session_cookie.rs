use std::time::Duration;

use loco_rs::prelude::*;

use super::middleware::jwt_cookie_name;
use crate::models::sessions;

/// The cookie that holds a session's JWT.
///
/// # Errors
///
/// Returns an error if no cookie is configured.
pub fn session_cookie(ctx: &AppContext, token: String) -> Result<cookie::Cookie<'static>> {
    let max_age = Duration::from_secs(ctx.config.get_jwt_config()?.expiration);
    cookie(ctx, token, max_age)
}

/// An already expired cookie, which makes the browser delete the session's cookie.
///
/// # Errors
///
/// Returns an error if no cookie is configured.
pub fn expired_session_cookie(ctx: &AppContext) -> Result<cookie::Cookie<'static>> {
    cookie(ctx, String::new(), Duration::ZERO)
}

/// Ends the session that the browser has had so far, if there is one.
///
/// # Errors
///
/// Returns an error if the database fails.
pub async fn end_session(ctx: &AppContext, session: Option<auth::JWT>) -> Result<()> {
    if let Some(session) = session {
        sessions::Model::end(&ctx.db, &session.claims).await?;
    }
    Ok(())
}

/// A cookie that scripts cannot read and other sites' pages do not send. It requires TLS unless
/// `server.host` begins with `http://`.
fn cookie(ctx: &AppContext, token: String, max_age: Duration) -> Result<cookie::Cookie<'static>> {
    let name = jwt_cookie_name(ctx.config.get_jwt_config()?)
        .ok_or_else(|| Error::string("auth.jwt.location in config/*.yaml names no cookie"))?;
    Ok(cookie::Cookie::build((name.to_string(), token))
        .path("/")
        .http_only(true)
        .same_site(cookie::SameSite::Lax)
        .secure(!ctx.config.server.host.starts_with("http://"))
        .max_age(max_age.try_into().map_err(Error::wrap)?)
        .build())
}
