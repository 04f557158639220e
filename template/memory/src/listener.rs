//! The memory listener, for operators: apart from the public routes, on a separate address.
//! `docs/memory.md` lists its routes. Errors have the same form as Loco's.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{DefaultBodyLimit, Request, State},
    http::{header, HeaderValue, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
    Json, Router,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use loco_rs::{controller::ErrorDetail, prelude::*};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tower::ServiceExt;

use crate::{allocator, settings::Memory, task};

/// Bytes, which is more than any request needs.
const MAX_BODY: usize = 1024;
const MAX_HEAD: usize = 16 << 10;
/// Limits on the number of connections, how long each may last, and how long a head may take, so
/// that nobody can take memory or files from the service without the token.
const MAX_CONNECTIONS: usize = 64;
const CONNECTION_TIMEOUT: Duration = Duration::from_mins(2);
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait when accepting fails for lack of files or memory.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

pub type AdminResult<T> = std::result::Result<T, AdminError>;

/// Why a request is not carried out.
#[derive(Debug)]
pub struct AdminError {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl AdminError {
    pub fn new(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        Self {
            status,
            error,
            description: description.into(),
        }
    }
}

impl From<Error> for AdminError {
    /// Logs the reason, but keeps it out of the response.
    fn from(err: Error) -> Self {
        tracing::error!(%err, "memory listener");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_server_error",
            "Internal Server Error",
        )
    }
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        let detail = ErrorDetail::new(self.error, self.description);
        (self.status, Json(detail)).into_response()
    }
}

/// Binds the listener and serves it beside the application, if the settings ask for it. If the
/// address cannot be bound, or metrics cannot be collected, this only logs a warning, since the
/// service works without them.
///
/// # Errors
///
/// If the local address cannot be determined.
pub async fn start(settings: &Memory, ctx: &AppContext) -> Result<()> {
    let Some(address) = settings.address() else {
        return Ok(());
    };
    let routes = allocator::routes();
    #[cfg(feature = "metrics")]
    let routes = match crate::metrics::routes(settings, ctx) {
        Ok(metrics) => routes.merge(metrics),
        Err(err) => {
            tracing::warn!(%err, "no /metrics: something else in the process collects metrics");
            routes
        }
    };
    #[cfg(not(feature = "metrics"))]
    let _ = ctx;
    let listener = match TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(err) => {
            tracing::warn!(
                %err,
                "no memory listener: cannot bind {address}, which settings.memory.bind specifies"
            );
            return Ok(());
        }
    };
    tracing::info!(address = %listener.local_addr()?, "memory listener");

    let service = routes
        .route("/memory", get(report))
        .fallback(|| async {
            AdminError::new(StatusCode::NOT_FOUND, "not_found", "Resource was not found")
        })
        .method_not_allowed_fallback(|| async {
            AdminError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "The header Allow lists the methods of this path",
            )
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(
            Arc::new(settings.clone()),
            authorize,
        ));
    tokio::spawn(serve(listener, service));
    Ok(())
}

async fn serve(listener: TcpListener, service: Router) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_RETRY_DELAY).await;
            continue;
        };
        let service = service.clone();
        let handler =
            service_fn(move |request: Request<Incoming>| service.clone().oneshot(request));
        let http = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), handler);
        tokio::spawn(async move {
            // The client learns of any error.
            drop(timeout(CONNECTION_TIMEOUT, http).await);
            drop(permit);
        });
    }
}

/// Passes on requests that have the token and are not too large.
async fn authorize(State(settings): State<Arc<Memory>>, request: Request, next: Next) -> Response {
    let authorization = request.headers().get(header::AUTHORIZATION);
    if !settings.authorizes(authorization.map(HeaderValue::as_bytes)) {
        let error = AdminError::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "You do not have permission to access this resource",
        );
        return ([(header::WWW_AUTHENTICATE, "Bearer")], error).into_response();
    }

    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > MAX_BODY) {
        return AdminError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            format!("The body must not exceed {MAX_BODY} bytes"),
        )
        .into_response();
    }
    next.run(request).await
}

async fn report() -> AdminResult<String> {
    Ok(spawn_blocking(task::report).await.map_err(Error::msg)??)
}
