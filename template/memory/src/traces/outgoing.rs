//! The span of a request to another service, by
//! [OpenTelemetry's conventions](https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span).

use axum::http::{HeaderMap, Method, Uri};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_http::HeaderInjector;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{is_enabled, server::known_method};

/// Begins the span of a request to another service, if spans are exported, and adds a `traceparent` to its
/// headers, so that the trace goes on there.
///
/// Send the request within the span: `client.send().instrument(span)`. The span has the URL
/// without its query, which may contain secrets.
pub fn trace_request(method: &Method, url: &Uri, headers: &mut HeaderMap) -> Span {
    if !is_enabled() {
        return Span::none();
    }
    let span = tracing::info_span!("request to another service");
    span.set_attribute("http.request.method", known_method(method));
    if let Some(host) = url.host() {
        let scheme = url.scheme_str().unwrap_or("http");
        let port = url.port_u16();
        let address = port.map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
        let full = [scheme, "://", &address, url.path()].concat();
        span.set_attribute("url.full", full);
        span.set_attribute("server.address", host.to_string());
        let port = port.unwrap_or(if scheme == "https" { 443 } else { 80 });
        span.set_attribute("server.port", i64::from(port));
    }
    TraceContextPropagator::new().inject_context(&span.context(), &mut HeaderInjector(headers));
    span
}
