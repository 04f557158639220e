//! Spans on their way to the collector: a bounded number of them, and only what may leave the service.

use std::{
    env,
    mem::size_of,
    sync::{
        atomic::{AtomicU64, AtomicUsize, Ordering},
        Arc, Mutex, PoisonError,
    },
    time::{Duration, Instant},
};

use opentelemetry::{
    trace::{Link, SpanKind},
    Context, KeyValue, TraceId, Value,
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{
        BatchSpanProcessor, Config, ParentBasedSampler, Sampler, SamplingDecision, SamplingResult,
        ShouldSample, Span, SpanData, SpanExporter, SpanProcessor, OTEL_BSP_MAX_QUEUE_SIZE,
        OTEL_BSP_MAX_QUEUE_SIZE_DEFAULT,
    },
    Resource,
};

/// Bytes that waiting spans may occupy.
pub const MAX_BYTES: u64 = 4 << 20;
/// Bytes that the spans of a trace occupy, as a rule.
const TRACE_BYTES: u64 = 8 << 10;
/// What is kept of a query: long ones insert many rows.
const MAX_QUERY: usize = 2 << 10;
/// The minimum time between two log lines about a failing export.
const WARNING_INTERVAL: Duration = Duration::from_mins(1);

/// The attributes of `SeaORM`'s spans, and their names in
/// [OpenTelemetry's conventions](https://opentelemetry.io/docs/specs/semconv/database/database-spans/).
const SQL_ATTRIBUTES: [(&str, &str); 3] = [
    ("db.operation", "db.operation.name"),
    ("db.statement", "db.query.text"),
    ("db.system", "db.system.name"),
];

/// Counts the spans that wait for their export.
#[derive(Debug, Default)]
pub struct Queue {
    capacity: usize,
    spans: AtomicUsize,
    bytes: AtomicU64,
    dropped: AtomicU64,
    exported: AtomicU64,
    failed: AtomicU64,
}

impl Queue {
    pub fn from_env() -> Self {
        let capacity = env::var(OTEL_BSP_MAX_QUEUE_SIZE).ok();
        let capacity = capacity.and_then(|capacity| capacity.parse().ok());
        Self {
            capacity: capacity.unwrap_or(OTEL_BSP_MAX_QUEUE_SIZE_DEFAULT),
            ..Self::default()
        }
    }

    /// The most spans that wait.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Spans that wait.
    #[cfg(feature = "metrics")]
    pub fn spans(&self) -> usize {
        self.spans.load(Ordering::Relaxed)
    }

    /// Spans, and traces before they began, for which there was no room.
    #[cfg(feature = "metrics")]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Spans that the collector has accepted.
    #[cfg(feature = "metrics")]
    pub fn exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// Spans that the collector has not accepted.
    #[cfg(feature = "metrics")]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Whether there is room for another span, which then occupies it.
    fn enter(&self, bytes: u64) -> bool {
        let spans = self.spans.fetch_add(1, Ordering::Relaxed);
        let others = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = spans < self.capacity && others + bytes <= MAX_BYTES;
        if !fits {
            self.leave(1, bytes);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        fits
    }

    /// Whether there is no room for the spans of another trace.
    fn is_full(&self) -> bool {
        self.spans.load(Ordering::Relaxed) >= self.capacity
            || self.bytes.load(Ordering::Relaxed) + TRACE_BYTES > MAX_BYTES
    }

    fn leave(&self, spans: usize, bytes: u64) {
        self.spans.fetch_sub(spans, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The bytes that a span occupies, roughly.
fn size(span: &SpanData) -> u64 {
    let values = span.attributes.iter().map(|attribute| {
        let text = match &attribute.value {
            Value::String(text) => text.as_str().len(),
            _ => 0,
        };
        size_of::<KeyValue>() + text
    });
    (size_of::<SpanData>() + values.sum::<usize>()) as u64
}

/// Samples no requests and jobs while there is no room for their spans, as these would be dropped one by
/// one. The others are left to the sampler of the environment, and what happens within them follows them.
pub fn sampler(queue: &Arc<Queue>) -> ParentBasedSampler {
    let sampler = BoundedSampler {
        inner: Config::default().sampler,
        queue: Arc::clone(queue),
    };
    Sampler::parent_based(sampler.clone())
        .with_remote_parent_sampled(sampler.clone())
        .with_remote_parent_not_sampled(sampler)
}

#[derive(Debug, Clone)]
struct BoundedSampler {
    inner: Box<dyn ShouldSample>,
    queue: Arc<Queue>,
}

impl ShouldSample for BoundedSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let mut result = self
            .inner
            .should_sample(parent, trace, name, kind, attributes, links);
        if result.decision == SamplingDecision::RecordAndSample && self.queue.is_full() {
            self.queue.dropped.fetch_add(1, Ordering::Relaxed);
            result.decision = SamplingDecision::Drop;
        }
        result
    }
}

/// Drops spans for which there is no room, so that a collector that is slow or away costs a bounded
/// amount of memory.
#[derive(Debug)]
pub struct BoundedProcessor {
    batches: BatchSpanProcessor,
    queue: Arc<Queue>,
}

impl BoundedProcessor {
    pub fn new(batches: BatchSpanProcessor, queue: &Arc<Queue>) -> Self {
        let queue = Arc::clone(queue);
        Self { batches, queue }
    }
}

impl SpanProcessor for BoundedProcessor {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.queue.enter(size(&span)) {
            self.batches.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Sends batches, and accounts for them.
#[derive(Debug)]
pub struct Exporter<E> {
    inner: E,
    queue: Arc<Queue>,
    warned: Mutex<Option<Instant>>,
}

impl<E> Exporter<E> {
    pub fn new(inner: E, queue: &Arc<Queue>) -> Self {
        Self {
            inner,
            queue: Arc::clone(queue),
            warned: Mutex::default(),
        }
    }

    fn warn(&self, error: &str) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_some_and(|at| at.elapsed() < WARNING_INTERVAL) {
            return;
        }
        *warned = Some(Instant::now());
        drop(warned);
        tracing::warn!(error, "traces cannot be exported");
    }
}

impl<E: SpanExporter> SpanExporter for Exporter<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let bytes = batch.iter().map(size).sum();
        batch.iter_mut().for_each(conform);
        let exported = self.inner.export(batch).await;
        self.queue.leave(spans, bytes);
        let count = match &exported {
            Ok(()) => &self.queue.exported,
            Err(err) => {
                self.warn(&err.to_string());
                &self.queue.failed
            }
        };
        count.fetch_add(spans as u64, Ordering::Relaxed);
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Gives a span the name and the attributes of OpenTelemetry's conventions, and takes out what is only for
/// the log.
fn conform(span: &mut SpanData) {
    span.attributes
        .retain(|attribute| !matches!(attribute.key.as_str(), "span_id" | "trace_id"));
    if span.name.starts_with("sea_orm.") {
        conform_sql(span);
        return;
    }
    if span.span_kind != SpanKind::Internal {
        return;
    }
    if let Some(method) = text(span, "http.request.method") {
        let method = if method == "_OTHER" { "HTTP" } else { &method };
        let route = text(span, "http.route").map(|route| format!(" {route}"));
        span.name = [method, &route.unwrap_or_default()].concat().into();
        span.span_kind = if text(span, "url.path").is_some() {
            SpanKind::Server
        } else {
            SpanKind::Client
        };
    } else if let Some(operation) = text(span, "messaging.operation.name") {
        span.span_kind = if operation == super::jobs::SEND {
            SpanKind::Producer
        } else {
            SpanKind::Consumer
        };
        let worker = text(span, "messaging.destination.name").unwrap_or_default();
        span.name = format!("{operation} {worker}").into();
    }
}

fn text(span: &SpanData, key: &str) -> Option<String> {
    let mut attributes = span.attributes.iter();
    let attribute = attributes.find(|attribute| attribute.key.as_str() == key)?;
    Some(attribute.value.as_str().into_owned())
}

fn conform_sql(span: &mut SpanData) {
    let has_failed = span
        .attributes
        .iter()
        .any(|attribute| attribute.key.as_str() == "exception.message");
    // The rest, such as an error's text, may contain values.
    let attributes = span.attributes.iter().filter_map(|attribute| {
        let mut names = SQL_ATTRIBUTES.iter();
        let (_, name) = names.find(|(name, _)| *name == attribute.key.as_str())?;
        let mut value = attribute.value.as_str().into_owned();
        if value.len() > MAX_QUERY {
            value.truncate(value.floor_char_boundary(MAX_QUERY));
        }
        Some(KeyValue::new(*name, value))
    });
    let mut attributes: Vec<_> = attributes.collect();
    let operation = attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == "db.operation.name");
    if let Some(operation) = operation {
        span.name = operation.value.as_str().into_owned().into();
    }
    if has_failed {
        attributes.push(KeyValue::new("error.type", "_OTHER"));
    }
    span.attributes = attributes;
}

#[cfg(test)]
mod tests {
    use opentelemetry::{
        trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceState},
        Context,
    };

    use super::*;

    fn is_sampled(sampler: &impl ShouldSample, parent: Option<&SpanContext>) -> bool {
        let context = parent.map_or_else(Context::new, |parent| {
            Context::new().with_remote_span_context(parent.clone())
        });
        let trace = TraceId::from(1);
        let result =
            sampler.should_sample(Some(&context), trace, "", &SpanKind::Internal, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    fn sampled_parent(is_remote: bool) -> SpanContext {
        let (trace, span) = (TraceId::from(1), SpanId::from(1));
        SpanContext::new(
            trace,
            span,
            TraceFlags::SAMPLED,
            is_remote,
            TraceState::NONE,
        )
    }

    #[test]
    fn no_trace_begins_while_there_is_no_room() {
        let queue = Arc::new(Queue {
            capacity: 3,
            ..Queue::default()
        });
        let sampler = sampler(&queue);
        let parents = [None, Some(sampled_parent(true))];
        for (spans, bytes) in [(3, 1), (1, MAX_BYTES)] {
            assert!((0..spans).all(|_| queue.enter(bytes)));
            for parent in &parents {
                assert!(!is_sampled(&sampler, parent.as_ref()), "{parent:?}");
            }
            // A trace that has begun goes on.
            assert!(is_sampled(&sampler, Some(&sampled_parent(false))));

            queue.leave(spans, spans as u64 * bytes);
            for parent in &parents {
                assert!(is_sampled(&sampler, parent.as_ref()), "{parent:?}");
            }
        }
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 4);
    }
}
