//! Answers requests with 503 in place of the application.

use std::{
    sync::{
        atomic::{AtomicU64, Ordering},
        Mutex, PoisonError,
    },
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::Request,
    http::{header, request::Parts, HeaderMap, HeaderValue, StatusCode},
    response::{Html, IntoResponse, Response},
    Json, Router,
};
use loco_rs::{
    app::AppContext,
    controller::{middleware::MiddlewareLayer, ErrorDetail},
    Result,
};

use super::run;

/// The minimum time between two log lines that sum up the refusals.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `settings.requests.waiting` requests are waiting already.
    QueueFull,
    /// The request has waited for `settings.requests.wait_ms`.
    TimedOut,
    /// The process is near its memory limit.
    Memory,
}

impl Reason {
    pub const ALL: [Self; 3] = [Self::QueueFull, Self::TimedOut, Self::Memory];

    /// The label that metrics use.
    #[cfg(feature = "metrics")]
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::TimedOut => "waited",
            Self::Memory => "memory",
        }
    }
}

#[derive(Debug)]
pub struct Refusals {
    responder: Router,
    counts: [AtomicU64; Reason::ALL.len()],
    reported: Mutex<Reported>,
}

#[derive(Debug)]
struct Reported {
    at: Option<Instant>,
    counts: [u64; Reason::ALL.len()],
}

impl Refusals {
    /// # Errors
    ///
    /// If the CORS settings are invalid.
    pub fn new(ctx: &AppContext) -> Result<Self> {
        let responder =
            Router::new().fallback(|headers: HeaderMap| async move { overloaded(&headers) });
        // Scripts of other origins may read why they were refused, just as they may read other
        // responses.
        let responder = match &ctx.config.server.middlewares.cors {
            Some(cors) if cors.is_enabled() => cors.apply(responder)?,
            _ => responder,
        };
        Ok(Self {
            responder: responder.with_state(ctx.clone()),
            counts: Default::default(),
            reported: Mutex::new(Reported {
                at: None,
                counts: Default::default(),
            }),
        })
    }

    pub fn count(&self, reason: Reason) -> u64 {
        self.counts[reason as usize].load(Ordering::Relaxed)
    }

    /// Answers a request with 503.
    pub async fn refuse(&self, reason: Reason, parts: Parts) -> Response {
        self.counts[reason as usize].fetch_add(1, Ordering::Relaxed);
        let request = Request::from_parts(parts, Body::empty());
        run(self.responder.clone(), request).await
    }

    /// Logs how many requests were refused since the last report, if that is long enough ago.
    pub fn report(&self) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = Reason::ALL.map(|reason| self.count(reason));
        let is_due = reported.at.is_none_or(|at| at.elapsed() >= REPORT_INTERVAL);
        if counts == reported.counts || !is_due {
            return;
        }
        let [queue_full, waited, memory] = std::array::from_fn(|i| counts[i] - reported.counts[i]);
        tracing::warn!(
            queue_full,
            waited,
            memory,
            "overloaded: requests refused with 503"
        );
        *reported = Reported {
            at: Some(Instant::now()),
            counts,
        };
    }
}

/// The response to a browser that asks for a page.
const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <title>Service Unavailable</title><h1>Service Unavailable</h1>\
    <p>The service is overloaded. Please try again in a moment.</p></html>";

fn overloaded(headers: &HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).map(HeaderValue::as_bytes);
    let wants_page = accepts.is_some_and(|accepts| accepts.starts_with(b"text/html"));
    let body = if wants_page {
        Html(PAGE).into_response()
    } else {
        let description = "The service is overloaded: try again later";
        Json(ErrorDetail::new("service_unavailable", description)).into_response()
    };
    let retry_after = [(header::RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, retry_after, body).into_response()
}
