//! OpenTelemetry traces, exported over OTLP.
//!
//! The [standard
//! variables](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/)
//! configure them; without a collector in `OTEL_EXPORTER_OTLP_ENDPOINT` there are none. A trace begins
//! with a request, or continues the one of its `traceparent` header, and goes on in the database and in
//! the jobs that the request has put into the queue.

mod client;
mod export;
mod jobs;
mod outgoing;
pub mod server;

use std::{
    env,
    sync::{Arc, OnceLock},
    time::Duration,
};

use loco_rs::app::Hooks;
use opentelemetry::{
    propagation::{Extractor, TextMapPropagator},
    trace::{TraceContextExt, TracerProvider},
    Context, KeyValue,
};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider},
    Resource,
};
use tracing::{span::Span, subscriber::Interest, Level, Metadata, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    filter::dynamic_filter_fn, layer::Context as LayerContext, registry::LookupSpan, Layer,
};

use self::{
    client::Client,
    export::{BoundedProcessor, Exporter, Queue},
};

pub use self::{jobs::trace_jobs, outgoing::trace_request};

/// The level of the most detailed spans that are exported. More would also let through every detail that
/// libraries log, only to drop it.
const MAX_LEVEL: Level = Level::INFO;
/// How long the process waits at its end until the last spans are exported.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// What traces are exported with. Unset if none are.
static TRACES: OnceLock<Traces> = OnceLock::new();
/// Why there are none although the environment asks for them.
static PROBLEM: OnceLock<String> = OnceLock::new();

struct Traces {
    provider: SdkTracerProvider,
    #[cfg(feature = "metrics")]
    queue: Arc<Queue>,
}

/// Exports spans if the environment names a collector: for the subscriber of [`Hooks::init_logger`].
///
/// Exported are the spans of requests and jobs, those of `SeaORM` within them (its feature
/// `tracing-spans`), and those of the application's own crate. Events are not, since log messages may
/// contain personal data.
#[must_use]
pub fn trace_layer<H, S>() -> impl Layer<S>
where
    H: Hooks,
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let layer = start::<H>().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(env!("CARGO_PKG_NAME")))
            .with_level(false)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            // A request's context is set anyway, and doing so for every span takes more time.
            .with_context_activation(false)
    });
    let is_started = layer.is_some();
    let app = H::app_name();
    let filter = dynamic_filter_fn(move |metadata, context: &LayerContext<'_, S>| {
        may_be_exported(metadata, app) && (!is_sql(metadata) || is_in_exported_trace(context))
    });
    let filter = filter.with_max_level_hint(MAX_LEVEL);
    // Without this, the filter would be asked each time, even about what is never exported.
    layer.with_filter(filter.with_callsite_filter(move |metadata| {
        if is_started && may_be_exported(metadata, app) {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }))
}

/// Starts the export if the environment names a collector.
fn start<H: Hooks>() -> Option<SdkTracerProvider> {
    if !is_configured(|name| env::var(name).ok()) {
        return None;
    }
    match Traces::new::<H>() {
        Ok(traces) => {
            let provider = traces.provider.clone();
            TRACES.set(traces).ok()?;
            Some(provider)
        }
        Err(problem) => {
            drop(PROBLEM.set(problem));
            None
        }
    }
}

/// Whether the environment asks for traces.
fn is_configured(variable: impl Fn(&str) -> Option<String>) -> bool {
    let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
    let is =
        |name, expected| variable(name).is_some_and(|value| value.eq_ignore_ascii_case(expected));
    (is_set("OTEL_EXPORTER_OTLP_ENDPOINT") || is_set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
        && !is("OTEL_SDK_DISABLED", "true")
        && !is("OTEL_TRACES_EXPORTER", "none")
}

/// Whether this is a span of the application, of this crate, whose name begins with the application's, or
/// of a query, and no detail.
fn may_be_exported(metadata: &Metadata<'_>, app: &str) -> bool {
    metadata.is_span()
        && *metadata.level() <= MAX_LEVEL
        && (metadata.target().starts_with(app) || is_sql(metadata))
}

fn is_sql(metadata: &Metadata<'_>) -> bool {
    metadata.name().starts_with("sea_orm.")
}

/// Queries that are part of nothing, such as those of a worker that looks for jobs, would each be a trace.
/// Those of a request that is not sampled need no spans.
fn is_in_exported_trace<S>(context: &LayerContext<'_, S>) -> bool
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let is_of_unsampled_request = Context::map_current(|context| {
        context.has_active_span() && !context.span().span_context().is_sampled()
    });
    !is_of_unsampled_request && context.lookup_current().is_some()
}

impl Traces {
    fn new<H: Hooks>() -> Result<Self, String> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new())
            .build()
            .map_err(|err| err.to_string())?;
        let queue = Arc::new(Queue::from_env());
        let batch = BatchConfigBuilder::default()
            .with_max_queue_size(queue.capacity())
            .build();
        let processor = BatchSpanProcessor::builder(Exporter::new(exporter, &queue))
            .with_batch_config(batch)
            .build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource::<H>())
            .with_sampler(export::sampler(&queue))
            .with_span_processor(BoundedProcessor::new(processor, &queue))
            .build();
        Ok(Self {
            provider,
            #[cfg(feature = "metrics")]
            queue,
        })
    }
}

fn resource<H: Hooks>() -> Resource {
    let mut resource = Resource::builder();
    if !has_service_name(|name| env::var(name).ok()) {
        resource = resource.with_service_name(H::app_name());
    }
    let version = KeyValue::new("service.version", H::app_version());
    resource.with_attribute(version).build()
}

fn has_service_name(variable: impl Fn(&str) -> Option<String>) -> bool {
    variable("OTEL_SERVICE_NAME").is_some_and(|name| !name.is_empty())
        || variable("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|attributes| {
            attributes
                .split(',')
                .any(|attribute| attribute.trim_start().starts_with("service.name="))
        })
}

/// Whether spans are exported.
fn is_enabled() -> bool {
    TRACES.get().is_some()
}

/// The spans that wait for their export, if any are exported.
#[cfg(feature = "metrics")]
pub fn queue() -> Option<&'static Arc<Queue>> {
    TRACES.get().map(|traces| &traces.queue)
}

/// Bytes of the budget that are set aside for waiting spans.
pub fn reserved() -> u64 {
    if is_enabled() {
        export::MAX_BYTES
    } else {
        0
    }
}

/// Why no traces are exported although the environment asks for them.
pub fn problem() -> Option<String> {
    let problem = PROBLEM.get()?;
    Some(format!("no traces are exported: {problem}"))
}

/// Exports what is left. Blocks for up to a second.
pub fn flush() {
    if let Some(traces) = TRACES.get() {
        // What fails is counted and logged by the exporter.
        drop(traces.provider.shutdown_with_timeout(FLUSH_TIMEOUT));
    }
}

/// Continues the trace whose `traceparent` was sent along, and lets the log lines of a span with the fields
/// `trace_id` and `span_id` tell which trace they belong to.
fn continue_trace(span: &Span, sent: &impl Extractor) -> Context {
    let parent = TraceContextPropagator::new().extract(sent);
    if parent.span().span_context().is_valid() {
        // It fails only if the span is disabled.
        drop(span.set_parent(parent));
    }
    let context = span.context();
    let started = context.span();
    let started = started.span_context();
    if started.is_valid() {
        let (trace, id) = (started.trace_id(), started.span_id());
        tracing::record_all!(span, trace_id = %trace, span_id = %id);
    }
    context
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(variables: &[(&str, &str)]) -> bool {
        is_configured(|wanted| {
            let mut variables = variables.iter();
            let (_, value) = variables.find(|(name, _)| *name == wanted)?;
            Some((*value).to_string())
        })
    }

    #[test]
    fn traces_are_exported_only_if_the_environment_says_where() {
        const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        assert!(!configured(&[]));
        assert!(!configured(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]));
        assert!(configured(&[ENDPOINT]));
        assert!(configured(&[(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://localhost:4318/v1/traces"
        )]));
        assert!(!configured(&[ENDPOINT, ("OTEL_SDK_DISABLED", "True")]));
        assert!(!configured(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]));
        assert!(configured(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "otlp")]));
    }

    #[test]
    fn the_service_has_its_own_name_unless_the_environment_has_one() {
        let named = |variable: &'static str, value: &'static str| {
            has_service_name(|name| (name == variable).then(|| value.to_string()))
        };
        assert!(named("OTEL_SERVICE_NAME", "orders"));
        assert!(!named("OTEL_SERVICE_NAME", ""));
        assert!(named(
            "OTEL_RESOURCE_ATTRIBUTES",
            "a=b, service.name=orders"
        ));
        assert!(!named("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=shop"));
    }
}
