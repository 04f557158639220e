//! From SIGTERM, or Ctrl-C, to the end of a web process, without losing a request.
//!
//! On the signal, axum alone would close idle connections and stop listening at once: a request
//! that is already on its way there is lost. So the service drains first: it goes on serving, but
//! answers `/_readiness` with 503 and announces the end of each connection in its answer. Whoever
//! sends the requests goes elsewhere meanwhile. Then it stops listening, and the last requests end.

use std::{
    future::{Future, IntoFuture},
    net::SocketAddr,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::{header::CONNECTION, HeaderValue, StatusCode},
    middleware::{from_fn_with_state, Next},
    response::{IntoResponse, Response},
    Json, Router,
};
use loco_rs::{
    app::{AppContext, Hooks},
    boot::{shutdown_signal, ServeParams},
    controller::monitoring::Health,
    Error, Result,
};
use serde::Deserialize;
use tokio::{
    net::TcpListener,
    sync::oneshot,
    time::{sleep, timeout},
};

/// `settings.shutdown` in the configuration, in seconds.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// How long to go on serving after the signal.
    drain: u64,
    /// How long the last requests then have to end.
    timeout: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            drain: 0,
            timeout: 20,
        }
    }
}

impl Settings {
    fn read(ctx: &AppContext) -> Result<Self> {
        let settings = ctx.config.settings.as_ref();
        settings
            .and_then(|settings| settings.get("shutdown"))
            .map_or_else(
                || Ok(Self::default()),
                |shutdown| {
                    Self::deserialize(shutdown)
                        .map_err(|err| Error::Message(format!("settings.shutdown: {err}")))
                },
            )
    }
}

/// Serves until the process is asked to end.
///
/// # Errors
///
/// When `settings.shutdown` is not valid, or nobody can listen on the address.
pub async fn serve<H: Hooks>(app: Router, ctx: &AppContext, params: &ServeParams) -> Result<()> {
    serve_until::<H>(app, ctx, params, shutdown_signal()).await
}

/// Serves until `signal` resolves, and then ends as this module's description says.
///
/// # Errors
///
/// When `settings.shutdown` is not valid, or nobody can listen on the address.
pub async fn serve_until<H: Hooks>(
    app: Router,
    ctx: &AppContext,
    params: &ServeParams,
    signal: impl Future<Output = ()> + Send,
) -> Result<()> {
    let settings = Settings::read(ctx)?;
    let listener = TcpListener::bind(format!("{}:{}", params.binding, params.port)).await?;
    let draining = Arc::new(AtomicBool::new(false));
    let app = app.layer(from_fn_with_state(draining.clone(), announce_the_end));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(
        axum::serve(
            listener,
            app.into_make_service_with_connect_info::<SocketAddr>(),
        )
        .with_graceful_shutdown(async { stopped.await.unwrap_or_default() })
        .into_future(),
    );

    signal.await;
    tracing::info!(seconds = settings.drain, "draining");
    draining.store(true, Ordering::Relaxed);
    sleep(Duration::from_secs(settings.drain)).await;

    tracing::info!("shutting down");
    H::on_shutdown(ctx).await;
    drop(stop);
    if let Ok(ended) = timeout(Duration::from_secs(settings.timeout), server).await {
        ended.map_err(Error::wrap)??;
    } else {
        tracing::warn!(
            seconds = settings.timeout,
            "requests that have not ended are cut off"
        );
    }
    Ok(())
}

async fn announce_the_end(
    State(draining): State<Arc<AtomicBool>>,
    request: Request,
    next: Next,
) -> Response {
    let readiness = request.uri().path() == "/_readiness";
    let mut response = next.run(request).await;
    if draining.load(Ordering::Relaxed) {
        if readiness {
            let not_ready = Json(Health { ok: false });
            response = (StatusCode::SERVICE_UNAVAILABLE, not_ready).into_response();
        }
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}
