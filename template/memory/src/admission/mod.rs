//! Decides which requests begin, wait, or are refused, so that no more are worked on at once than
//! the cores and the memory allow. `docs/memory.md` of the service describes this for operators.

mod body;
pub mod budget;
mod fair_queue;
mod gate;
mod refusals;
mod reservations;
mod routes;
mod work;

use std::{
    convert::Infallible,
    future::poll_fn,
    net::IpAddr,
    pin::pin,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    extract::{FromRequestParts, Request},
    http::{request::Parts, StatusCode},
    response::{IntoResponse, Response},
    Router,
};
use bytes::BytesMut;
use hyper::body::Incoming;
use loco_rs::{
    app::{AppContext, Hooks},
    controller::middleware::{
        remote_ip::{ClientIpSource, RemoteIP},
        MiddlewareLayer,
    },
    Result,
};
use tokio::{
    task::yield_now,
    time::{timeout, timeout_at, Instant},
};
use tower::ServiceExt;

pub use self::{
    body::ResponseBody,
    gate::network_of,
    refusals::{Reason, Refusals},
    routes::Route,
    work::Watch,
};
use self::{
    body::{read_ahead, RequestBody},
    budget::{Budget, Peer, Shortage},
    gate::{Gate, Permit},
    reservations::Reservations,
    routes::Routes,
    work::{ActiveRequest, Work},
};
use crate::{
    guard::{self, Pressure},
    server::{Connection, InFlight},
    settings::{Requests, Settings},
};

/// The most bytes of a body that are read before its request is admitted, which covers Loco's
/// default payload limit.
const MAX_READ_AHEAD: u64 = 2 << 20;
/// The same for a body of unknown length, with a time limit.
const MAX_READ_AHEAD_UNSIZED: u64 = 64 << 10;
const READ_AHEAD_TIMEOUT: Duration = Duration::from_secs(1);

/// Admits requests to the application.
#[derive(Debug)]
pub struct Admission {
    requests: Requests,
    budget: Arc<Budget>,
    gate: Arc<Gate>,
    routes: Routes,
    refusals: Refusals,
    /// Where to find the client's address, if the service is behind a proxy.
    proxy: Option<ClientIpSource>,
    reservations: Arc<Reservations>,
    /// How many bodies that are read as they arrive wait for room.
    stalled: Arc<AtomicUsize>,
}

impl Admission {
    /// # Errors
    ///
    /// If `settings.requests` names a route that does not exist.
    pub fn new<H: Hooks>(ctx: &AppContext, settings: &Settings) -> Result<Arc<Self>> {
        let requests = settings.requests.clone();
        let remote_ip = ctx.config.server.middlewares.remote_ip.clone();
        let budget = guard::budget(&settings.memory);
        #[cfg(feature = "traces")]
        let budget = budget.saturating_sub(crate::traces::reserved());
        let budget = Budget::new(budget);
        Ok(Arc::new(Self {
            gate: Gate::new(&budget, requests.in_flight),
            routes: Routes::new(&H::routes(ctx), &requests.exempt)?,
            refusals: Refusals::new(ctx)?,
            proxy: remote_ip
                .filter(MiddlewareLayer::is_enabled)
                .map(|remote_ip| remote_ip.source),
            reservations: Reservations::new(&budget),
            stalled: Arc::default(),
            budget,
            requests,
        }))
    }

    pub const fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Whether all requests pass through a proxy.
    pub const fn is_behind_proxy(&self) -> bool {
        self.proxy.is_some()
    }

    #[cfg(feature = "metrics")]
    pub const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    pub const fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    #[cfg(feature = "metrics")]
    pub const fn routes(&self) -> &Routes {
        &self.routes
    }

    /// The route that a request matches.
    pub fn route(&self, request: &Request<impl HttpBody>) -> &Arc<Route> {
        let body = request.body().size_hint().exact();
        self.routes
            .find(request.method(), request.uri().path(), body)
    }

    /// Who is waiting for memory, be it to begin a request or to read more of a body.
    pub fn shortage(&self) -> Shortage {
        let mut shortage = self.gate.shortage();
        if self.stalled.load(Ordering::Relaxed) > 0 || self.budget.is_exceeded() {
            shortage.add_for_all();
        }
        shortage
    }

    /// Whose bodies wait for memory that other bodies hold.
    pub fn body_shortage(&self) -> Shortage {
        self.reservations.shortage()
    }

    /// Admits waiting requests. Called regularly, since nothing signals that memory pressure has
    /// ended.
    pub fn admit_waiting(&self) {
        self.gate.admit_waiting();
    }

    /// Passes a request to the application as soon as it can be worked on, or refuses it.
    pub async fn handle(
        &self,
        app: Router,
        route: &Arc<Route>,
        connection: &Arc<Connection>,
        request: Request<Incoming>,
    ) -> Response<ResponseBody> {
        let in_flight = InFlight::new(connection);
        if connection.is_pipelined() {
            // Otherwise all requests pipelined with it would be handled while other connections
            // wait.
            yield_now().await;
        }
        if !self.requests.enable || route.exempt {
            let response = run(
                app,
                request.map(|body| self.streamed_body(body, connection)),
            )
            .await;
            return self.with_counted_body(response, None, in_flight);
        }
        let (mut parts, body) = request.into_parts();
        let network = network_of(self.client(&mut parts, connection).await);
        let peer = connection.client_usage(network, || self.gate.peer(network));
        // A slow body is awaited before the permit is taken, so that it does not occupy one.
        let admitted = match self.read_ahead(body, connection, network).await {
            Ok(body) => self
                .acquire_permit(route, network, &peer)
                .await
                .map(|permit| (body, permit)),
            Err(ReadAheadError::Refused(reason)) => Err(reason),
            Err(ReadAheadError::Body(err)) => {
                tracing::debug!(%err, "a request's body ended early");
                let response = StatusCode::BAD_REQUEST.into_response();
                return self.with_counted_body(response, None, in_flight);
            }
        };
        let (body, permit) = match admitted {
            Ok(admitted) => admitted,
            Err(reason) => {
                let response = self.refusals.refuse(reason, parts).await;
                return self.with_counted_body(response, None, in_flight);
            }
        };
        let work = pin!(run(app, Request::from_parts(parts, body)));
        let mut work = Work::new(work, permit, connection);
        let response = (&mut work).await;
        self.with_counted_body(response, Some(work.finish()), in_flight)
    }

    /// Wraps a response that does not come from the application.
    pub fn own_response(
        &self,
        response: impl IntoResponse,
        connection: &Arc<Connection>,
    ) -> Response<ResponseBody> {
        let in_flight = InFlight::new(connection);
        self.with_counted_body(response.into_response(), None, in_flight)
    }

    fn with_counted_body(
        &self,
        response: Response,
        active: Option<ActiveRequest>,
        in_flight: InFlight,
    ) -> Response<ResponseBody> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            in_flight.connection().upgrade();
        }
        let (parts, body) = response.into_parts();
        let body = ResponseBody::new(body, &parts.headers, active, &self.budget, in_flight);
        Response::from_parts(parts, body)
    }

    /// The client's address: the one that the proxy reports, or else that of the connection.
    async fn client(&self, parts: &mut Parts, connection: &Connection) -> IpAddr {
        let Some(source) = &self.proxy else {
            return connection.peer().ip();
        };
        parts.extensions.insert(source.clone());
        match RemoteIP::from_request_parts(parts, &()).await {
            Ok(RemoteIP::Forwarded(address) | RemoteIP::Socket(address)) => address,
            Ok(RemoteIP::None) => connection.peer().ip(),
        }
    }

    async fn acquire_permit(
        &self,
        route: &Arc<Route>,
        network: IpAddr,
        peer: &Arc<Peer>,
    ) -> std::result::Result<Permit, Reason> {
        if let Some(permit) = self.gate.try_acquire(route, peer) {
            return Ok(permit);
        }
        if guard::pressure() == Pressure::Shed {
            return Err(Reason::Memory);
        }
        if self.gate.waiting() >= self.requests.waiting {
            return Err(Reason::QueueFull);
        }
        let wait = Duration::from_millis(self.requests.wait_ms);
        #[cfg(feature = "metrics")]
        let start = Instant::now();
        let permit = timeout(wait, self.gate.acquire(route, network, Arc::clone(peer))).await;
        #[cfg(feature = "metrics")]
        crate::metrics::admission::record_wait(start.elapsed());
        permit.map_err(|_| Reason::TimedOut)
    }

    /// A body that is read as it arrives.
    fn streamed_body(&self, body: Incoming, connection: &Arc<Connection>) -> Body {
        if body.is_end_stream() {
            Body::empty()
        } else {
            Body::new(RequestBody::new(
                body,
                &self.budget,
                connection,
                &self.stalled,
            ))
        }
    }

    /// Reads a body before its request begins: all of it if its length is known and moderate,
    /// otherwise what arrives soon.
    async fn read_ahead(
        &self,
        body: Incoming,
        connection: &Arc<Connection>,
        network: IpAddr,
    ) -> std::result::Result<Body, ReadAheadError> {
        let length = body.size_hint().exact();
        if length.is_some_and(|length| length == 0 || length > MAX_READ_AHEAD) {
            return Ok(self.streamed_body(body, connection));
        }
        let max = length.unwrap_or(MAX_READ_AHEAD_UNSIZED);
        if max > reservations::SMALL && guard::pressure() == Pressure::Shed {
            return Err(ReadAheadError::Refused(Reason::Memory));
        }
        let mut body = RequestBody::new(body, &self.budget, connection, &self.stalled);
        let wait = Duration::from_millis(self.requests.wait_ms);
        let reservation = self.reservations.reserve(network, max);
        let mut reservation = timeout(wait, reservation)
            .await
            .map_err(|_| ReadAheadError::Refused(Reason::TimedOut))?
            .ok_or(ReadAheadError::Refused(Reason::QueueFull))?;
        let deadline = length
            .is_none()
            .then(|| Instant::now() + READ_AHEAD_TIMEOUT);
        // Pages take no memory until they are written to.
        let mut bytes = BytesMut::with_capacity(usize::try_from(max).unwrap_or_default());
        while (bytes.len() as u64) < max {
            let part = poll_fn(|context| body.poll_next(context));
            let part = match deadline {
                Some(deadline) => match timeout_at(deadline, part).await {
                    Ok(part) => part,
                    Err(_) => break,
                },
                None => part.await,
            };
            let Some(part) = part.transpose().map_err(ReadAheadError::Body)? else {
                break;
            };
            if let Ok(data) = part.into_data() {
                bytes.extend_from_slice(&data);
            }
        }
        reservation.shrink_to(bytes.len() as u64);
        let prefix = read_ahead(bytes.freeze(), reservation);
        Ok(if body.is_end_stream() {
            Body::from(prefix)
        } else {
            Body::new(body.with_prefix(prefix))
        })
    }
}

/// Why a body could not be read.
enum ReadAheadError {
    Refused(Reason),
    Body(hyper::Error),
}

async fn run(app: Router, request: Request) -> Response {
    let response = app.oneshot(request).await;
    response.unwrap_or_else(|err: Infallible| match err {})
}
