//! Serves requests, and shuts down on SIGTERM or Ctrl-C without losing any.
//!
//! On the signal, axum alone would stop listening and close idle connections at once, which loses
//! requests that are already on their way. The service drains first: it continues to serve, but
//! answers `/_readiness` with 503 and announces in each response that its connection will close, so
//! that whoever sends requests moves elsewhere. Then it stops listening, and the last requests end.
//! A worker in the same process takes no more jobs once the signal has arrived.

use std::{
    future::Future,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, Request},
    http::{header::CONNECTION, HeaderValue, Response, StatusCode},
    Json, Router,
};
use hyper::body::Incoming;
use loco_rs::{
    app::{AppContext, Hooks},
    boot::{shutdown_signal, ServeParams},
    controller::monitoring::Health,
    Error, Result,
};
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{sleep, timeout},
};

#[cfg(feature = "metrics")]
use crate::metrics::http::Counter;
#[cfg(feature = "traces")]
use crate::traces::server::RequestSpan;
use crate::{
    admission::{Admission, ResponseBody},
    server::{self, Connection, Connections},
    signals, Settings,
};

/// Serves until the process is asked to shut down: for [`Hooks::serve`]. A second SIGTERM or Ctrl-C
/// ends the process at once.
///
/// The process also ends once the time in `settings.shutdown` is over, whatever is still running.
///
/// # Errors
///
/// If the settings are invalid, or the address cannot be bound.
pub async fn serve<H: Hooks>(app: Router, ctx: &AppContext, params: &ServeParams) -> Result<()> {
    let shutdown = Settings::read(&ctx.config)?.shutdown;
    signals::exit_after(Duration::from_secs(
        shutdown.drain.saturating_add(shutdown.timeout),
    ));
    serve_until::<H>(app, ctx, params, shutdown_signal()).await
}

/// Serves until `signal` resolves, as [`serve`] does until SIGTERM or Ctrl-C.
///
/// From then on, `/_readiness` answers 503 and each response closes its connection, for
/// `settings.shutdown.drain` seconds. The last requests then have `settings.shutdown.timeout`
/// seconds to end.
///
/// # Errors
///
/// If the settings are invalid, or the address cannot be bound.
pub async fn serve_until<H: Hooks>(
    app: Router,
    ctx: &AppContext,
    params: &ServeParams,
    signal: impl Future<Output = ()> + Send,
) -> Result<()> {
    let settings = Settings::read(&ctx.config)?;
    if !env!("CARGO_CRATE_NAME").starts_with(H::app_name()) {
        // Not logged, since that would be dropped like everything from this crate.
        eprintln!(
            "warning: Loco drops what {} logs: the name of the package must begin with {}",
            env!("CARGO_PKG_NAME"),
            H::app_name()
        );
    }
    let admission = Admission::new::<H>(ctx, &settings)?;
    let listener = listen(params).await?;
    let connections = Connections::new(settings.connections, &admission);
    tracing::info!(
        budget_bytes = admission.budget().limit(),
        connections = connections.max(),
        "serving"
    );
    #[cfg(feature = "metrics")]
    {
        crate::metrics::admission::register(&admission, &connections);
        crate::metrics::process::set_version(H::app_version());
    }
    let service = Arc::new(Service {
        app,
        admission,
        is_draining: AtomicBool::new(false),
        #[cfg(feature = "metrics")]
        counter: settings.memory.address().map(|_| Counter::new()),
    });
    let (stop, stopped) = watch::channel(());
    let server = tokio::spawn(server::serve(
        listener,
        Arc::clone(&service),
        connections,
        stopped,
    ));

    signal.await;
    tracing::info!(seconds = settings.shutdown.drain, "draining");
    service.is_draining.store(true, Ordering::Relaxed);
    // Loco does this only after the last request, but jobs in progress should end in the meantime.
    if let Some(queue) = &ctx.queue_provider {
        queue.shutdown()?;
    }
    sleep(Duration::from_secs(settings.shutdown.drain)).await;

    tracing::info!("shutting down");
    H::on_shutdown(ctx).await;
    stop.send_replace(());
    // Every connection holds a receiver.
    let last = timeout(
        Duration::from_secs(settings.shutdown.timeout),
        stop.closed(),
    );
    if last.await.is_err() {
        tracing::warn!(
            seconds = settings.shutdown.timeout,
            "cutting off requests that have not ended"
        );
    }
    server.abort();
    Ok(())
}

async fn listen(params: &ServeParams) -> Result<TcpListener> {
    // An IPv6 address may be in brackets, as in a URL.
    let binding = params.binding.trim_matches(['[', ']']);
    let port = u16::try_from(params.port).map_err(Error::wrap)?;
    TcpListener::bind((binding, port))
        .await
        .map_err(|err| Error::string(&format!("cannot listen on {binding}, port {port}: {err}")))
}

/// The application, wrapped in admission control and metrics.
pub struct Service {
    app: Router,
    admission: Arc<Admission>,
    is_draining: AtomicBool,
    #[cfg(feature = "metrics")]
    counter: Option<Counter>,
}

impl Service {
    /// Handles a request that has arrived on a connection.
    ///
    /// # Errors
    ///
    /// Never.
    pub async fn handle(
        self: Arc<Self>,
        connection: Arc<Connection>,
        mut request: Request<Incoming>,
    ) -> std::result::Result<Response<ResponseBody>, std::convert::Infallible> {
        request
            .extensions_mut()
            .insert(ConnectInfo(connection.peer()));
        let is_readiness = request.uri().path() == "/_readiness";
        let route = self.admission.route(&request);
        #[cfg(feature = "metrics")]
        let measured = self
            .counter
            .as_ref()
            .map(|counter| counter.start(request.method(), &route.metrics));
        #[cfg(feature = "traces")]
        let span = RequestSpan::new(&request, route);
        let app = self.app.clone();
        let response = self.admission.handle(app, route, &connection, request);
        #[cfg(feature = "traces")]
        let response = span.process(response);
        let mut response = response.await;

        // A 101 response hands the connection over, for example to a WebSocket.
        if self.is_draining.load(Ordering::Relaxed)
            && response.status() != StatusCode::SWITCHING_PROTOCOLS
        {
            if is_readiness {
                let not_ready = (StatusCode::SERVICE_UNAVAILABLE, Json(Health { ok: false }));
                response = self.admission.own_response(not_ready, &connection);
            }
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        #[cfg(feature = "traces")]
        span.finish(response.status());
        #[cfg(feature = "metrics")]
        if let Some(measured) = measured {
            #[cfg(feature = "traces")]
            let measured = measured.of_trace(span.trace());
            measured.finish(response.status());
        }
        Ok(response)
    }
}
