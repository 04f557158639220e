//! The span of a request, by
//! [OpenTelemetry's conventions](https://opentelemetry.io/docs/specs/semconv/http/http-spans/).

use std::{future::Future, sync::Arc};

use axum::http::{Method, Request, StatusCode, Version};
#[cfg(feature = "metrics")]
use opentelemetry::TraceId;
use opentelemetry::{
    trace::{FutureExt, Status, TraceContextExt},
    Context, KeyValue,
};
use opentelemetry_http::HeaderExtractor;
use tracing::{field::Empty, Instrument, Span};

use super::{continue_trace, is_enabled};
use crate::admission::Route;

/// The span of a request, or none if no spans are exported.
pub struct RequestSpan {
    span: Span,
    context: Context,
}

impl RequestSpan {
    /// Begins it. There is none for probes.
    ///
    /// Of the path it contains only what the route has: parameters may be tokens, and so may the query.
    pub fn new<B>(request: &Request<B>, route: &Route) -> Self {
        if !is_enabled() || route.is_probe() {
            return Self {
                span: Span::none(),
                context: Context::new(),
            };
        }
        let span = tracing::error_span!("request", trace_id = Empty, span_id = Empty);
        let context = continue_trace(&span, &HeaderExtractor(request.headers()));
        let recorded = context.span();
        if recorded.is_recording() {
            let route = route.template.as_ref();
            recorded.set_attributes([
                KeyValue::new("http.request.method", known_method(request.method())),
                KeyValue::new("network.protocol.version", version(request.version())),
                KeyValue::new("url.path", redacted(route.map(|route| &**route))),
                KeyValue::new("url.scheme", "http"),
            ]);
            if let Some(route) = route {
                recorded.set_attribute(KeyValue::new("http.route", Arc::clone(route)));
            }
        }
        Self { span, context }
    }

    /// Processes the request within it.
    pub fn process<F: Future>(&self, request: F) -> impl Future<Output = F::Output> {
        request
            .with_context(self.context.clone())
            .instrument(self.span.clone())
    }

    /// The trace, if it is exported.
    #[cfg(feature = "metrics")]
    pub fn trace(&self) -> Option<TraceId> {
        let span = self.context.span();
        let context = span.span_context();
        context.is_sampled().then(|| context.trace_id())
    }

    /// The request was answered.
    pub fn finish(&self, status: StatusCode) {
        let span = self.context.span();
        if !span.is_recording() {
            return;
        }
        let code = i64::from(status.as_u16());
        span.set_attribute(KeyValue::new("http.response.status_code", code));
        if status.is_server_error() {
            span.set_attribute(KeyValue::new("error.type", code.to_string()));
            span.set_status(Status::error(""));
        }
    }
}

/// A route's path with its parameters hidden. `REDACTED` as a whole if there is no route, since it may then
/// be anything, such as a mistyped link.
fn redacted(route: Option<&str>) -> String {
    let Some(route) = route else {
        return "REDACTED".to_string();
    };
    let parts = route
        .split('/')
        .map(|part| if part.contains('{') { "REDACTED" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// A fixed set, since clients can invent any number of methods.
pub const fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::CONNECT => "CONNECT",
        Method::DELETE => "DELETE",
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::TRACE => "TRACE",
        _ => "_OTHER",
    }
}

fn version(version: Version) -> &'static str {
    if version == Version::HTTP_2 {
        "2"
    } else if version == Version::HTTP_10 {
        "1.0"
    } else {
        "1.1"
    }
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn what_a_client_sends_is_not_in_the_path() {
        assert_eq!(redacted(Some("/api/posts")), "/api/posts");
        assert_eq!(
            redacted(Some("/api/auth/verify/{token}")),
            "/api/auth/verify/REDACTED"
        );
        assert_eq!(redacted(Some("/{*path}")), "/REDACTED");
        assert_eq!(redacted(None), "REDACTED");
    }
}
