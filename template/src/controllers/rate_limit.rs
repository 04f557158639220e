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

/// How many blocked clients to remember.
const MAX_BLOCKED: usize = 10_000;

/// Limits how often a client may call a handler that takes this argument: each call counts as an
/// attempt, and one too many is rejected before the handler runs.
pub struct RateLimited;

impl FromRequestParts<AppContext> for RateLimited {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, ctx: &AppContext) -> Result<Self, Response> {
        let limit = Limit {
            attempts: users::settings().attempts_per_minute,
            seconds: 60,
        };
        let Some(client) = client_ip(parts, ctx).await else {
            return Ok(Self);
        };
        let blocked = BlockedClients::of(ctx);
        if let Some(seconds) = blocked.seconds_left(client) {
            return Err(too_many_requests(seconds));
        }
        let key = format!("attempts {client}");
        let retry_after = rate_limits::Model::record_attempt(&ctx.db, &key, limit)
            .await
            .map_err(|err| Error::from(err).into_response())?;
        let Some(seconds) = retry_after else {
            return Ok(Self);
        };
        blocked.block(client, seconds);
        Err(too_many_requests(seconds))
    }
}

/// Clients over the limit, with the Unix time at which each may try again. Further attempts are
/// rejected without a database query.
#[derive(Clone, Default)]
struct BlockedClients(Arc<Mutex<HashMap<IpAddr, i64>>>);

impl BlockedClients {
    fn of(ctx: &AppContext) -> Self {
        ctx.shared_store.get().unwrap_or_else(|| {
            let blocked = Self::default();
            ctx.shared_store.insert(blocked.clone());
            blocked
        })
    }

    fn seconds_left(&self, client: IpAddr) -> Option<i64> {
        let ends_at = *self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&client)?;
        let seconds = ends_at - Utc::now().timestamp();
        (seconds > 0).then_some(seconds)
    }

    fn block(&self, client: IpAddr, seconds: i64) {
        let mut blocked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Utc::now().timestamp();
        if blocked.len() >= MAX_BLOCKED {
            blocked.retain(|_, ends_at| *ends_at > now);
        }
        if blocked.len() < MAX_BLOCKED {
            blocked.insert(client, now + seconds);
        }
    }
}

/// The response to an attempt over the limit.
#[must_use]
pub fn too_many_requests(seconds: i64) -> Response {
    let error = ErrorDetail::new(
        "too_many_requests",
        format!("Too many attempts: try again in {seconds} seconds"),
    );
    let retry_after = [(header::RETRY_AFTER, seconds.to_string())];
    (StatusCode::TOO_MANY_REQUESTS, retry_after, Json(error)).into_response()
}

/// The client's IP address, or the proxy's if `remote_ip` is off.
async fn client_ip(parts: &mut Parts, ctx: &AppContext) -> Option<IpAddr> {
    let remote = RemoteIP::from_request_parts(parts, ctx).await;
    let address = match remote {
        Ok(RemoteIP::Forwarded(address) | RemoteIP::Socket(address)) => address,
        Ok(RemoteIP::None) => parts.extensions.get::<ConnectInfo<SocketAddr>>()?.ip(),
    };
    Some(match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        // A single subscriber usually gets a whole /64.
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    })
}
