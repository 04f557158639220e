//! The listener for the people on call: apart from the public routes, on an address of its own.
//!
//! `docs/memory.md` lists what it serves. What is refused has Loco's JSON of errors, with a status
//! that says why.

use std::{future::IntoFuture, sync::Arc};

use axum::{
    extract::{DefaultBodyLimit, Request, State},
    http::{header, HeaderValue, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
    Json, Router,
};
use loco_rs::{controller::ErrorDetail, prelude::*};
use tokio::{net::TcpListener, task::spawn_blocking};

use super::{Allocator, Process, Settings};

/// No request has more to say.
const LARGEST_BODY: usize = 1024;

/// What a route gives.
pub type Answer<T> = std::result::Result<T, Refusal>;

/// Why a request is not carried out.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl Refusal {
    pub fn new(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        Self {
            status,
            error,
            description: description.into(),
        }
    }
}

impl From<Error> for Refusal {
    /// The log has the reason, the answer has none.
    fn from(err: Error) -> Self {
        tracing::error!(%err, "memory listener");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_server_error",
            "Internal Server Error",
        )
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let detail = ErrorDetail::new(self.error, self.description);
        (self.status, Json(detail)).into_response()
    }
}

/// Binds the listener and serves these routes beside the service, where the settings ask for it.
///
/// # Errors
///
/// When the settings are not valid. An address that cannot be had is a warning: the service works
/// without the listener.
pub async fn start(settings: &Settings, routes: Router) -> Result<()> {
    let Some(address) = settings.address()? else {
        return Ok(());
    };
    let listener = match TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(err) => {
            tracing::warn!(
                %err,
                "no memory listener: {address} cannot be bound; settings.memory.bind names it"
            );
            return Ok(());
        }
    };
    tracing::info!(address = %listener.local_addr()?, "memory listener");

    let service = routes
        .route("/memory", get(report))
        .fallback(|| async {
            Refusal::new(StatusCode::NOT_FOUND, "not_found", "Resource was not found")
        })
        .method_not_allowed_fallback(|| async {
            Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "The header Allow names the methods of this path",
            )
        })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(
            Arc::new(settings.clone()),
            gate,
        ));
    tokio::spawn(axum::serve(listener, service).into_future());
    Ok(())
}

/// Lets in who has the token, and nothing that is too large.
async fn gate(State(settings): State<Arc<Settings>>, request: Request, next: Next) -> Response {
    let authorization = request.headers().get(header::AUTHORIZATION);
    if !settings.lets_in(authorization.map(HeaderValue::as_bytes)) {
        let refusal = Refusal::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "You do not have permission to access this resource",
        );
        return ([(header::WWW_AUTHENTICATE, "Bearer")], refusal).into_response();
    }

    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > LARGEST_BODY) {
        return Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            format!("A body has at most {LARGEST_BODY} bytes"),
        )
        .into_response();
    }
    next.run(request).await
}

/// It may block.
fn read_report() -> Result<String> {
    Ok(format!("{}{}\n", Allocator::read()?, Process::read()?))
}

async fn report() -> Answer<String> {
    Ok(spawn_blocking(read_report).await.map_err(Error::msg)??)
}
