//! The memory listener, for operators: apart from the public routes, on a separate address, and on a
//! separate thread, so that it responds while the service's own threads are busy or blocked.
//! `docs/memory.md` lists its routes. Errors have the same form as Loco's.

use std::{
    net::{self, IpAddr},
    sync::Arc,
    thread,
    time::Duration,
};

use axum::{
    extract::{DefaultBodyLimit, Request, State},
    http::{header, uri::Authority, HeaderMap, HeaderName, HeaderValue, StatusCode},
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
    runtime::Builder,
    sync::{oneshot, Semaphore},
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tower::ServiceExt;

use crate::{
    allocator,
    black_box::{self, BlackBox},
    settings::Memory,
    task,
};

/// Bytes, which is more than any request needs.
const MAX_BODY: usize = 1024;
const MAX_HEAD: usize = 16 << 10;
/// Limits on the number of connections, how long each may last, and how long a head may take, so
/// that nobody can take memory or file descriptors from the service without the token.
const MAX_CONNECTIONS: usize = 64;
const CONNECTION_TIMEOUT: Duration = Duration::from_mins(2);
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Threads for reports, purges and profiles, few of which run at a time.
const MAX_BLOCKING_THREADS: usize = 4;
/// How long to wait when accepting fails for lack of file descriptors or memory.
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
        tracing::error!(%err, "memory listener: request failed");
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
/// If the local address cannot be determined, or the thread cannot be started.
pub fn start(settings: &Memory, ctx: &AppContext) -> Result<()> {
    let Some(address) = settings.address() else {
        return Ok(());
    };
    let black_box = BlackBox::new(settings);
    let mut routes = allocator::routes(black_box.as_ref());
    if let Some(black_box) = black_box {
        routes = routes.merge(black_box::routes(black_box));
    }
    #[cfg(feature = "metrics")]
    let routes = match crate::metrics::routes(settings, ctx) {
        Ok(metrics) => routes.merge(metrics),
        Err(err) => {
            tracing::warn!(
                %err,
                "/metrics not served: something else in the process collects metrics"
            );
            routes
        }
    };
    #[cfg(not(feature = "metrics"))]
    let _ = ctx;
    let listener = match net::TcpListener::bind(address) {
        Ok(listener) => listener,
        Err(err) => {
            tracing::warn!(
                %err,
                "memory listener not started: cannot bind {address}, which settings.memory.bind \
                 specifies"
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
    listener.set_nonblocking(true)?;
    // Dropped with this runtime, which closes the channel and ends the listener.
    let (mut running, ended) = oneshot::channel::<()>();
    tokio::spawn(async move { running.closed().await });
    thread::Builder::new()
        .name("memory-listener".to_string())
        .spawn(|| {
            if let Err(err) = run(listener, service, ended) {
                tracing::error!(%err, "memory listener stopped");
            }
        })?;
    Ok(())
}

/// Serves on this thread until the application's runtime ends.
fn run(
    listener: net::TcpListener,
    service: Router,
    ended: oneshot::Receiver<()>,
) -> std::io::Result<()> {
    allocator::bind_thread();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .on_thread_start(allocator::bind_thread)
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .build()?;
    let listener = {
        let _context = runtime.enter();
        TcpListener::from_std(listener)?
    };
    runtime.spawn(serve(listener, service));
    drop(runtime.block_on(ended));
    runtime.shutdown_background();
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

/// Passes on requests that are not too large and have the token, or without a token, those that no web
/// page can have sent.
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
    if settings.token.is_empty() && may_be_from_web_page(request.headers()) {
        return AdminError::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "No token is configured, so requests that a web page could have sent are rejected: use \
             localhost or 127.0.0.1 in the URL and send neither Origin nor Sec-Fetch-Site (in a \
             browser, type the address), or set settings.memory.token",
        )
        .into_response();
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

/// Whether a page in a browser may have sent the request: one of another origin, or one whose name was
/// made to resolve to this address (DNS rebinding). A browser sends `none` if the user typed the address.
fn may_be_from_web_page(headers: &HeaderMap) -> bool {
    let value = |name: HeaderName| {
        let value = headers.get(name);
        value.map(|value| value.to_str().unwrap_or_default())
    };
    headers.contains_key(header::ORIGIN)
        || value(HeaderName::from_static("sec-fetch-site"))
            .is_some_and(|site| !["none", "same-origin"].contains(&site))
        || value(header::HOST).is_some_and(|host| !is_local(host))
}

/// Whether a `Host` header is a loopback address or `localhost`, which no site can make its own.
fn is_local(host: &str) -> bool {
    host.parse::<Authority>().is_ok_and(|authority| {
        let host = authority.host().trim_matches(['[', ']']);
        host.eq_ignore_ascii_case("localhost")
            || host
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback())
    })
}

async fn report() -> AdminResult<String> {
    let report = spawn_blocking(task::service_report).await;
    Ok(report.map_err(Error::msg)??)
}
