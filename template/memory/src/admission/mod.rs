//! Which requests begin, which wait, and which are refused: as many are worked on at once as the
//! cores and the memory allow. `docs/memory.md` of the service is the operator's view of it.

mod body;
pub mod budget;
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
    extract::Request,
    http::{request::Parts, StatusCode},
    response::{IntoResponse, Response},
    Router,
};
use bytes::BytesMut;
use hyper::body::Incoming;
use loco_rs::{
    app::{AppContext, Hooks},
    controller::middleware::MiddlewareLayer,
    Result,
};
use tokio::time::{timeout, timeout_at, Instant};
use tower::ServiceExt;

pub use self::{
    body::Answer,
    gate::network_of,
    refusals::{Reason, Refusals},
    routes::Route,
    work::Watch,
};
use self::{
    body::{counted, Upload},
    budget::Budget,
    gate::{Gate, Permit},
    reservations::Reservations,
    routes::Routes,
    work::{Begun, Work},
};
use crate::{
    guard::{self, Pressure},
    server::{Connection, InFlight},
    settings::{Requests, Settings},
};

/// Bytes of a body that are read before its request begins. It is Loco's own limit of a payload.
const READ_AHEAD: u64 = 2 << 20;
/// Bytes of a body of unknown length that are read before its request begins, and for how long.
const READ_AHEAD_UNKNOWN: u64 = 64 << 10;
const READ_AHEAD_TIME: Duration = Duration::from_secs(1);

/// Admits requests to the application.
#[derive(Debug)]
pub struct Admission {
    requests: Requests,
    budget: Arc<Budget>,
    gate: Arc<Gate>,
    routes: Routes,
    refusals: Refusals,
    /// The service stands behind a proxy that tells the client's address.
    is_behind_proxy: bool,
    reservations: Arc<Reservations>,
    /// Bodies that are read as they come, and wait for room.
    held_up: Arc<AtomicUsize>,
}

impl Admission {
    /// # Errors
    ///
    /// When `settings.requests` names a route that does not exist.
    pub fn new<H: Hooks>(ctx: &AppContext, settings: &Settings) -> Result<Arc<Self>> {
        let requests = settings.requests.clone();
        let budget = Budget::new(guard::budget(&settings.memory));
        Ok(Arc::new(Self {
            gate: Gate::new(&budget, requests.in_flight),
            routes: Routes::new(&H::routes(ctx), &requests.exempt)?,
            refusals: Refusals::new(ctx)?,
            is_behind_proxy: ctx
                .config
                .server
                .middlewares
                .remote_ip
                .as_ref()
                .is_some_and(MiddlewareLayer::is_enabled),
            reservations: Reservations::new(&budget),
            held_up: Arc::default(),
            budget,
            requests,
        }))
    }

    pub const fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Whether a proxy passes all requests on.
    pub const fn is_behind_proxy(&self) -> bool {
        self.is_behind_proxy
    }

    #[cfg(feature = "metrics")]
    pub const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    pub const fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// The route that a request asks for.
    pub fn route<B>(&self, request: &Request<B>) -> &Arc<Route> {
        self.routes.of(request.method(), request.uri().path())
    }

    /// Whether requests, or bodies of requests, wait for memory that others hold.
    pub fn is_short_of_memory(&self) -> bool {
        self.reservations.waiting() > 0
            || self.held_up.load(Ordering::Relaxed) > 0
            || self.gate.is_short_of_memory()
    }

    /// Lets the application answer a request as soon as it can be worked on, or refuses it.
    pub async fn answer(
        &self,
        app: Router,
        route: &Arc<Route>,
        connection: &Arc<Connection>,
        request: Request<Incoming>,
    ) -> Response<Answer> {
        let in_flight = InFlight::new(connection);
        if !self.requests.enable || route.exempt {
            let response = run(app, request.map(|body| self.body(body, connection))).await;
            return self.counted(response, None, in_flight);
        }
        let (parts, body) = request.into_parts();
        let peer = self.peer(&parts, connection);
        // A body that is slow to come is waited for before the permit, not with it.
        let begun = match self.read_ahead(body, connection, peer).await {
            Ok(body) => self.permit(route, peer).await.map(|permit| (body, permit)),
            Err(Unread::Refused(reason)) => Err(reason),
            Err(Unread::Ended(err)) => {
                tracing::debug!(%err, "a request's body ended early");
                let response = StatusCode::BAD_REQUEST.into_response();
                return self.counted(response, None, in_flight);
            }
        };
        let (body, permit) = match begun {
            Ok(begun) => begun,
            Err(reason) => {
                let response = self.refusals.refuse(reason, parts).await;
                return self.counted(response, None, in_flight);
            }
        };
        let work = pin!(run(app, Request::from_parts(parts, body)));
        let mut work = Work::new(work, permit, connection);
        let response = (&mut work).await;
        self.counted(response, Some(work.end()), in_flight)
    }

    /// An answer that is not the application's.
    pub fn outside(
        &self,
        response: impl IntoResponse,
        connection: &Arc<Connection>,
    ) -> Response<Answer> {
        let in_flight = InFlight::new(connection);
        self.counted(response.into_response(), None, in_flight)
    }

    fn counted(
        &self,
        response: Response,
        begun: Option<(Begun, u64)>,
        in_flight: InFlight,
    ) -> Response<Answer> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            in_flight.connection().upgrade();
        }
        let (parts, body) = response.into_parts();
        let answer = Answer::new(body, &parts.headers, begun, &self.budget, in_flight);
        Response::from_parts(parts, answer)
    }

    /// Who sends a request: as the proxy says that has passed it on, or whoever has connected.
    fn peer(&self, parts: &Parts, connection: &Connection) -> IpAddr {
        let forwarded = || {
            let addresses = parts
                .headers
                .get_all("x-forwarded-for")
                .iter()
                .next_back()?;
            let last = addresses.to_str().ok()?.rsplit(',').next()?;
            last.trim().parse().ok()
        };
        self.is_behind_proxy
            .then(forwarded)
            .flatten()
            .unwrap_or_else(|| connection.peer().ip())
    }

    async fn permit(
        &self,
        route: &Arc<Route>,
        peer: IpAddr,
    ) -> std::result::Result<Permit, Reason> {
        if let Some(permit) = self.gate.try_begin(route) {
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
        let permit = timeout(wait, self.gate.begin(route, peer)).await;
        #[cfg(feature = "metrics")]
        crate::metrics::admission::waited(start.elapsed());
        permit.map_err(|_| Reason::Waited)
    }

    /// A body that is read as it comes.
    fn body(&self, body: Incoming, connection: &Arc<Connection>) -> Body {
        if body.is_end_stream() {
            Body::empty()
        } else {
            Body::new(Upload::new(body, &self.budget, connection, &self.held_up))
        }
    }

    /// Reads a body before its request begins: whole, if its length is known and moderate, or what
    /// comes soon of it.
    async fn read_ahead(
        &self,
        body: Incoming,
        connection: &Arc<Connection>,
        peer: IpAddr,
    ) -> std::result::Result<Body, Unread> {
        let length = body.size_hint().exact();
        if length.is_some_and(|length| length == 0 || length > READ_AHEAD) {
            return Ok(self.body(body, connection));
        }
        let mut upload = Upload::new(body, &self.budget, connection, &self.held_up);
        let most = length.unwrap_or(READ_AHEAD_UNKNOWN);
        let wait = Duration::from_millis(self.requests.wait_ms);
        let reservation = self.reservations.reserve(network_of(peer), most);
        let mut reservation = timeout(wait, reservation)
            .await
            .map_err(|_| Unread::Refused(Reason::Waited))?;
        let deadline = length.is_none().then(|| Instant::now() + READ_AHEAD_TIME);
        // Only what is filled takes memory.
        let mut bytes = BytesMut::with_capacity(usize::try_from(most).unwrap_or_default());
        while (bytes.len() as u64) < most {
            let part = poll_fn(|context| upload.poll_next(context));
            let part = match deadline {
                Some(deadline) => match timeout_at(deadline, part).await {
                    Ok(part) => part,
                    Err(_) => break,
                },
                None => part.await,
            };
            let Some(part) = part.transpose().map_err(Unread::Ended)? else {
                break;
            };
            if let Ok(data) = part.into_data() {
                bytes.extend_from_slice(&data);
            }
        }
        reservation.shrink(bytes.len() as u64);
        let first = counted(bytes.freeze(), reservation);
        Ok(if upload.is_end_stream() {
            Body::from(first)
        } else {
            Body::new(upload.beginning_with(first))
        })
    }
}

/// Why a body was not read.
enum Unread {
    Refused(Reason),
    Ended(hyper::Error),
}

async fn run(app: Router, request: Request) -> Response {
    let response = app.oneshot(request).await;
    response.unwrap_or_else(|err: Infallible| match err {})
}
