//! A collector for OpenTelemetry traces, over OTLP with HTTP.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{any_value, AnyValue, KeyValue},
    resource::v1::Resource,
    trace::v1::{span::SpanKind, status::StatusCode, Span as ProtoSpan},
};
use prost::Message;

/// The response of a collector that has accepted spans.
const ACCEPTED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// How a collector responds.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    Proper,
    /// Properly, but it forgets what it has received.
    Forgetful,
    /// Properly, but only after five seconds.
    Slow,
    /// Never.
    Silent,
    /// With success and a body that does not end.
    Endless,
    /// With 503, and a date to come again that is a year away.
    Overloaded,
}

/// A span as the collector has received it.
#[derive(Debug, Clone)]
pub struct Span {
    pub name: String,
    pub kind: SpanKind,
    /// In hexadecimal digits, as are the following.
    pub trace: String,
    pub id: String,
    /// Empty if the span has no parent.
    pub parent: String,
    pub has_failed: bool,
    /// Values are in text form.
    pub attributes: BTreeMap<String, String>,
    pub resource: BTreeMap<String, String>,
}

/// A collector that keeps what it receives.
pub struct Collector {
    endpoint: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    /// Starts it on a free port.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let received = Arc::clone(&spans);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let received = Arc::clone(&received);
                // It ends when the service closes the connection.
                thread::spawn(move || drop(serve(client, manner, &received)));
            }
        });
        Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            spans,
        }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// All spans so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.clone()
    }

    /// Waits for a span, and returns all until then.
    ///
    /// # Panics
    ///
    /// If it does not arrive within 30 seconds.
    #[must_use]
    pub fn wait_for(&self, name: &str) -> Vec<Span> {
        let start = Instant::now();
        loop {
            let spans = self.spans();
            if spans.iter().any(|span| span.name == name) {
                return spans;
            }
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "no {name} in {spans:#?}"
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn serve(client: TcpStream, manner: Manner, spans: &Mutex<Vec<Span>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut client = client;
    loop {
        let mut length = 0;
        let mut head = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            head += &line;
            head.push('\n');
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        if matches!(manner, Manner::Slow) {
            thread::sleep(Duration::from_secs(5));
        }
        match manner {
            Manner::Proper | Manner::Slow => {
                assert!(head.starts_with("post /v1/traces "), "{head}");
                assert!(head.contains("content-type: application/x-protobuf"), "{head}");
                let request = ExportTraceServiceRequest::decode(&*body).expect("Protobuf");
                let mut spans = spans.lock().unwrap_or_else(PoisonError::into_inner);
                spans.extend(read(request));
                drop(spans);
                client.write_all(ACCEPTED)?;
            }
            Manner::Forgetful => client.write_all(ACCEPTED)?,
            Manner::Silent => thread::sleep(Duration::from_secs(3600)),
            Manner::Endless => {
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                loop {
                    client.write_all(&[0xff; 1 << 16])?;
                }
            }
            Manner::Overloaded => client.write_all(
                b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 31536000\r\ncontent-length: 0\r\n\r\n",
            )?,
        }
    }
}

fn read(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for part in request.resource_spans {
        let resource = attributes(part.resource.map(|Resource { attributes, .. }| attributes));
        for scope in part.scope_spans {
            let received = scope.spans.into_iter();
            spans.extend(received.map(|span| Span::new(span, &resource)));
        }
    }
    spans
}

impl Span {
    fn new(span: ProtoSpan, resource: &BTreeMap<String, String>) -> Self {
        let has_failed = span
            .status
            .as_ref()
            .is_some_and(|status| status.code() == StatusCode::Error);
        Self {
            kind: span.kind(),
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            has_failed,
            attributes: attributes(Some(span.attributes)),
            resource: resource.clone(),
            name: span.name,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(attributes: Option<Vec<KeyValue>>) -> BTreeMap<String, String> {
    let attributes = attributes.unwrap_or_default().into_iter();
    attributes
        .map(|attribute| (attribute.key, text(attribute.value)))
        .collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::BoolValue(value)) => value.to_string(),
        other => format!("{other:?}"),
    }
}
