//! From SIGTERM, or Ctrl-C, to the end of a web process, without losing a request.
//!
//! On the signal, axum alone would close idle connections and stop listening at once: a request
//! that is already on its way there is lost. So the service drains first: it goes on serving, but
//! answers `/_readiness` with 503 and announces the end of each connection in its answer. Whoever
//! sends the requests goes elsewhere meanwhile. Then it stops listening, and the last requests end.
//! A worker in the same process takes no more jobs from the signal on.

use std::{
    convert::Infallible,
    future::{Future, IntoFuture},
    net::SocketAddr,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
    time::Duration,
};

use axum::{
    extract::Request,
    http::{header::CONNECTION, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    Json, Router, ServiceExt as _,
};
use loco_rs::{
    app::{AppContext, Hooks},
    boot::{shutdown_signal, ServeParams},
    controller::monitoring::Health,
    Error, Result,
};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    time::{sleep, timeout},
};
use tower::{service_fn, ServiceExt as _};

use crate::Settings;

/// Serves until the process is asked to end: for [`Hooks::serve`].
///
/// # Errors
///
/// When the settings are not valid, or nobody can listen on the address.
pub async fn serve<H: Hooks>(app: Router, ctx: &AppContext, params: &ServeParams) -> Result<()> {
    serve_until::<H>(app, ctx, params, shutdown_signal()).await
}

/// Serves until `signal` resolves, as [`serve`] does until SIGTERM or Ctrl-C.
///
/// From then on `/_readiness` answers 503 and each answer closes its connection, for
/// `settings.shutdown.drain` seconds; then the last requests have `settings.shutdown.timeout` seconds.
///
/// # Errors
///
/// When the settings are not valid, or nobody can listen on the address.
pub async fn serve_until<H: Hooks>(
    app: Router,
    ctx: &AppContext,
    params: &ServeParams,
    signal: impl Future<Output = ()> + Send,
) -> Result<()> {
    let settings = Settings::read(&ctx.config)?;
    if !env!("CARGO_CRATE_NAME").starts_with(H::app_name()) {
        // Not in the log, which would drop it as all that this crate says.
        eprintln!(
            "warning: Loco's log drops what {} says: the package's name has to begin with {}",
            env!("CARGO_PKG_NAME"),
            H::app_name()
        );
    }
    let listener = TcpListener::bind(format!("{}:{}", params.binding, params.port)).await?;
    #[cfg(feature = "metrics")]
    let app = match settings.memory.address() {
        Some(_) => crate::metrics::http::count(app, &H::routes(ctx))?,
        None => app,
    };
    let draining = Arc::new(AtomicBool::new(false));
    let is_draining = Arc::clone(&draining);
    // Around the whole router: around each route it would clone that route for each request.
    let app =
        service_fn(move |request| announce_the_end(Arc::clone(&is_draining), app.clone(), request));
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
    tracing::info!(seconds = settings.shutdown.drain, "draining");
    draining.store(true, Ordering::Relaxed);
    // Loco does this only after the last request; the jobs that have begun are to end meanwhile.
    if let Some(queue) = &ctx.queue_provider {
        queue.shutdown()?;
    }
    sleep(Duration::from_secs(settings.shutdown.drain)).await;

    tracing::info!("shutting down");
    H::on_shutdown(ctx).await;
    drop(stop);
    if let Ok(ended) = timeout(Duration::from_secs(settings.shutdown.timeout), server).await {
        ended.map_err(Error::wrap)??;
    } else {
        tracing::warn!(
            seconds = settings.shutdown.timeout,
            "requests that have not ended are cut off"
        );
    }
    Ok(())
}

async fn announce_the_end(
    draining: Arc<AtomicBool>,
    app: Router,
    request: Request,
) -> std::result::Result<Response, Infallible> {
    let readiness = request.uri().path() == "/_readiness";
    let mut response = app.oneshot(request).await?;
    // An answer 101 hands the connection over, to a WebSocket for example.
    if draining.load(Ordering::Relaxed) && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        if readiness {
            let not_ready = Json(Health { ok: false });
            response = (StatusCode::SERVICE_UNAVAILABLE, not_ready).into_response();
        }
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    Ok(response)
}
