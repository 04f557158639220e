//! The span of a request, by
//! [OpenTelemetry's conventions](https://opentelemetry.io/docs/specs/semconv/http/http-spans/).

use axum::http::{Method, Request, StatusCode, Version};
use opentelemetry::trace::Status;
use opentelemetry_http::HeaderExtractor;
use tracing::{field::Empty, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{continue_trace, is_enabled};
use crate::admission::Route;

/// Begins the span of a request, if spans are exported. Those of probes are not.
///
/// Of the path it contains only what the route has: parameters may be tokens, and so may the query.
pub fn span<B>(request: &Request<B>, route: &Route) -> Span {
    if !is_enabled() || route.is_probe() {
        return Span::none();
    }
    let route = route.template.as_deref();
    let span = tracing::error_span!("request", trace_id = Empty, span_id = Empty);
    let method = known_method(request.method());
    span.set_attribute("http.request.method", method);
    if let Some(route) = route {
        span.set_attribute("http.route", route.to_string());
    }
    span.set_attribute("url.path", redacted(route));
    span.set_attribute("url.scheme", "http");
    span.set_attribute("network.protocol.version", version(request.version()));
    continue_trace(&span, &HeaderExtractor(request.headers()));
    span
}

/// The request was answered.
pub fn finish(span: &Span, status: StatusCode) {
    if span.is_none() {
        return;
    }
    span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.set_attribute("error.type", status.as_u16().to_string());
        span.set_status(Status::error(""));
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
