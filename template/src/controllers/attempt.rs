use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{header, request::Parts, StatusCode},
};
use chrono::Utc;
use loco_rs::{
    controller::{middleware::remote_ip::RemoteIP, ErrorDetail},
    prelude::*,
};

use crate::models::{
    rate_limits::{self, Limit},
    users,
};

/// Clients of whom so many are remembered that have to wait.
const REMEMBERED: usize = 10_000;

/// An attempt at something of which a client can have so many in a minute. With this argument, a
/// handler counts, and is called only if it was not one too many.
pub struct Attempt;

impl FromRequestParts<AppContext> for Attempt {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, ctx: &AppContext) -> Result<Self, Response> {
        let limit = Limit {
            attempts: users::settings().attempts_per_minute,
            seconds: 60,
        };
        let Some(client) = client(parts, ctx).await else {
            return Ok(Self);
        };
        let waiting = Waiting::of(ctx);
        if let Some(seconds) = waiting.seconds(client) {
            return Err(too_often(seconds));
        }
        let key = format!("attempts {client}");
        let counted = rate_limits::Model::count(&ctx.db, &key, limit)
            .await
            .map_err(|err| Error::from(err).into_response())?;
        let Some(seconds) = counted else {
            return Ok(Self);
        };
        waiting.remember(client, seconds);
        Err(too_often(seconds))
    }
}

/// The clients that have had one attempt too many, with the end of their time in seconds since 1970. For
/// whoever goes on trying, the database is not asked again.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<HashMap<IpAddr, i64>>>);

impl Waiting {
    fn of(ctx: &AppContext) -> Self {
        ctx.shared_store.get().unwrap_or_else(|| {
            let waiting = Self::default();
            ctx.shared_store.insert(waiting.clone());
            waiting
        })
    }

    fn seconds(&self, client: IpAddr) -> Option<i64> {
        let ends_at = *self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&client)?;
        let seconds = ends_at - Utc::now().timestamp();
        (seconds > 0).then_some(seconds)
    }

    fn remember(&self, client: IpAddr, seconds: i64) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Utc::now().timestamp();
        if waiting.len() >= REMEMBERED {
            waiting.retain(|_, ends_at| *ends_at > now);
        }
        if waiting.len() < REMEMBERED {
            waiting.insert(client, now + seconds);
        }
    }
}

/// The answer to one attempt too many.
#[must_use]
pub fn too_often(seconds: i64) -> Response {
    let error = ErrorDetail::new(
        "too_many_requests",
        format!("Too many attempts: try again in {seconds} seconds"),
    );
    let retry_after = [(header::RETRY_AFTER, seconds.to_string())];
    (StatusCode::TOO_MANY_REQUESTS, retry_after, Json(error)).into_response()
}

/// The address of the client, or of the proxy where `remote_ip` is off.
async fn client(parts: &mut Parts, ctx: &AppContext) -> Option<IpAddr> {
    let remote = RemoteIP::from_request_parts(parts, ctx).await;
    let address = match remote {
        Ok(RemoteIP::Forwarded(address) | RemoteIP::Socket(address)) => address,
        Ok(RemoteIP::None) => parts.extensions.get::<ConnectInfo<SocketAddr>>()?.ip(),
    };
    Some(match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        // A customer of a provider has all addresses of these 64 bits.
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    })
}
