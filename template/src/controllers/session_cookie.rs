use std::time::Duration;

use loco_rs::prelude::*;

use super::middleware::token_cookie;

/// The cookie with the JWT of a session.
///
/// # Errors
///
/// When the configuration names no cookie.
pub fn session_cookie(ctx: &AppContext, token: String) -> Result<cookie::Cookie<'static>> {
    let life = Duration::from_secs(ctx.config.get_jwt_config()?.expiration);
    cookie(ctx, token, life)
}

/// The cookie that takes the place of one whose session has ended.
///
/// # Errors
///
/// When the configuration names no cookie.
pub fn no_session_cookie(ctx: &AppContext) -> Result<cookie::Cookie<'static>> {
    cookie(ctx, String::new(), Duration::ZERO)
}

/// Out of reach for scripts, not sent from other sites' pages, and not without TLS where the
/// service is not reached without it (`server.host`).
fn cookie(ctx: &AppContext, token: String, life: Duration) -> Result<cookie::Cookie<'static>> {
    let name = token_cookie(ctx.config.get_jwt_config()?)
        .ok_or_else(|| Error::string("auth.jwt.location in config/ names no cookie"))?;
    Ok(cookie::Cookie::build((name.to_string(), token))
        .path("/")
        .http_only(true)
        .same_site(cookie::SameSite::Lax)
        .secure(!ctx.config.server.host.starts_with("http://"))
        .max_age(life.try_into().map_err(Error::wrap)?)
        .build())
}
