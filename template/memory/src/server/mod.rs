//! The service's connections: how many may be open, how long a client may take, and which to close
//! when memory is short.

mod connection;
mod connections;
mod limits;

use std::{
    io,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::extract::Request as HttpRequest;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::sleep,
};

#[cfg(feature = "metrics")]
pub use self::connections::CloseReason;
use self::{
    connection::Stream,
    limits::{limit_buffers, raise_backlog},
};
pub use self::{
    connection::{BodyWait, Connection, InFlight, Phase},
    connections::{Connections, OpenConnection},
    limits::KERNEL_BUFFER,
};
use crate::{guard, serve::Service, settings};

/// How long to wait when accepting fails for lack of file descriptors or memory.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// Accepts connections and serves them until `stop` changes. Open ones then end with the responses
/// in progress.
pub async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    connections: Arc<Connections>,
    mut stop: watch::Receiver<()>,
) {
    raise_backlog(&listener);
    let mut errors = AcceptErrors::default();
    loop {
        tokio::select! {
            accepted = accept(&listener, &connections) => match accepted {
                Ok((stream, connection)) => {
                    let service = Arc::clone(&service);
                    let connections = Arc::clone(&connections);
                    let stop = stop.clone();
                    tokio::spawn(async move {
                        let connection = connection.connection();
                        serve_one(stream, connection, service, connections.settings(), stop).await;
                        // The stream may have been handed over.
                        connection.stream_dropped().await;
                    });
                }
                Err(err) if is_connection_error(&err) => {}
                Err(err) => {
                    errors.report(&err);
                    connections.close_idle();
                    sleep(RETRY_DELAY).await;
                }
            },
            _ = stop.changed() => break,
        }
    }
}

/// Accepts the next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Connections>,
) -> io::Result<(TcpStream, OpenConnection)> {
    loop {
        while guard::pressure() == guard::Pressure::Shed {
            sleep(RETRY_DELAY).await;
        }
        connections.wait_for_room().await;
        let (stream, address) = listener.accept().await?;
        stream.set_nodelay(true)?;
        if let Some(connection) = connections.add(address) {
            limit_buffers(&stream);
            return Ok((stream, connection));
        }
    }
}

async fn serve_one(
    stream: TcpStream,
    connection: &Arc<Connection>,
    service: Arc<Service>,
    settings: &settings::Connections,
    mut stop: watch::Receiver<()>,
) {
    // Boxed, since hyper reserves room for the future as long as the connection is open.
    let handler = |request: HttpRequest<Incoming>| {
        Box::pin(Arc::clone(&service).handle(Arc::clone(connection), request))
    };
    let stream = TokioIo::new(Stream::new(stream, connection));
    let mut http = pin!(http1::Builder::new()
        // `Connections` has the timeouts, as it tells idle connections from slow heads.
        .header_read_timeout(None)
        .max_header_size(settings.head_bytes)
        .max_buf_size(settings.head_bytes)
        .serve_connection(stream, service_fn(handler))
        .with_upgrades());
    let mut is_stopping = false;
    loop {
        tokio::select! {
            ended = http.as_mut() => {
                if let Err(err) = ended {
                    tracing::debug!(%err, peer = %connection.peer(), "connection failed");
                }
                break;
            }
            () = connection.close_requested() => {
                if connection.is_reset_on_close() {
                    break;
                }
                // A request that has arrived in the meantime is still answered.
                http.as_mut().graceful_shutdown();
            }
            _ = stop.changed(), if !is_stopping => {
                is_stopping = true;
                http.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Whether accepting failed for this connection only.
fn is_connection_error(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::NotConnected
    )
}

/// Errors of accepting, logged at most once every 10 s.
#[derive(Default)]
struct AcceptErrors {
    last_report: Option<Instant>,
}

impl AcceptErrors {
    const REPORT_INTERVAL: Duration = Duration::from_secs(10);

    fn report(&mut self, err: &io::Error) {
        if self
            .last_report
            .is_none_or(|at| at.elapsed() >= Self::REPORT_INTERVAL)
        {
            self.last_report = Some(Instant::now());
            tracing::error!(%err, "cannot accept connections: closing idle ones, and trying again");
        }
    }
}
