//! Slow tier: OpenTelemetry traces, from the request through a job in another process to its mail, and
//! what a bad collector can do. Unix only, because of the signals.
#![cfg(unix)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;
use template_tests::{
    collector::{Collector, Manner, Span},
    link_in,
    load_target::add_controller,
    needs,
    postgres::Database,
    prometheus::Prometheus,
    redis::Redis,
    Answers, Mailbox, Rendered, Running,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// The attributes that spans may have, by OpenTelemetry's conventions (HTTP 1.23, database 1.33,
/// messaging in development).
const SERVER: [&str; 7] = [
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "network.protocol.version",
    "url.path",
    "url.scheme",
];
const DATABASE: [&str; 4] = [
    "db.operation.name",
    "db.query.text",
    "db.system.name",
    "error.type",
];
const MESSAGING: [&str; 6] = [
    "error.type",
    "messaging.destination.name",
    "messaging.message.id",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.system",
];

/// A service with a queue, and its binary.
type Service = (Rendered, PathBuf);

fn build(queue: &str) -> Service {
    let service = Answers::new("svc")
        .with("background", queue)
        .with("traces", "true")
        .render()
        .expect("the answers render");
    let outgoing = include_str!("../fixtures/outgoing.rs");
    add_controller(service.root(), "outgoing", outgoing).expect("a controller");
    let binary = service.build().expect("it builds");
    (service, binary)
}

fn service() -> &'static Service {
    static SERVICE: OnceLock<Service> = OnceLock::new();
    SERVICE.get_or_init(|| build("sqlite"))
}

/// The variables of a test's processes, with databases of their own.
struct Env<'a> {
    service: &'a Service,
    directory: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Env<'static> {
    fn new(variables: &[(&'static str, &str)]) -> Self {
        Self::of(service(), variables)
    }
}

impl<'a> Env<'a> {
    fn of(service: &'a Service, variables: &[(&'static str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = |name: &str| {
            let path = directory.path().join(name);
            format!("sqlite://{}?mode=rwc", path.display())
        };
        let given = variables.iter();
        let given = given.map(|(name, value)| (*name, (*value).to_string()));
        let variables = [
            ("DATABASE_URL", file("db.sqlite")),
            ("QUEUE_URL", file("queue.sqlite")),
            ("MEMORY_BLACK_BOX", String::new()),
            ("OTEL_BSP_SCHEDULE_DELAY", "100".to_string()),
        ];
        let variables = variables.into_iter().chain(given).collect();
        Self {
            service,
            directory,
            variables,
        }
    }

    fn start(&self) -> Running {
        let (service, binary) = self.service;
        let variables = self.variables.iter();
        let variables: Vec<_> = variables
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        service.start(binary, &variables).expect("it starts")
    }

    fn start_worker(&self) -> Worker {
        let (service, binary) = self.service;
        let log = fs::File::create(self.directory.path().join("worker.log")).expect("a log");
        let worker = Command::new(binary)
            .args(["start", "--worker", "--no-banner"])
            .current_dir(service.root())
            .env("NO_COLOR", "1")
            .env("LOCO_ENV", "development")
            .env("MEMORY_ADMIN_BIND", "127.0.0.1:0")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::from(log))
            .spawn();
        Worker(worker.expect("a worker"))
    }
}

/// A process, killed on drop.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn register(running: &Running) {
    register_within(running, &format!("00-{TRACE}-{PARENT}-01"));
}

fn register_within(running: &Running, traceparent: &str) {
    let user = json!({
        "name": "Ann Onymous", "email": "ann@example.com", "password": "correct horse battery"
    });
    ureq::post(running.url("/api/auth/register"))
        .header("traceparent", traceparent)
        .send_json(user)
        .expect("a user");
}

#[track_caller]
fn find<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut spans_of_name = spans.iter().filter(|span| span.name == name);
    spans_of_name
        .next()
        .unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
}

#[track_caller]
fn assert_conforms(span: &Span, allowed: &[&str]) {
    let unknown: BTreeSet<_> = span
        .attributes
        .keys()
        .filter(|name| !allowed.contains(&name.as_str()))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?} in {span:#?}");
}

#[test]
fn a_trace_goes_from_the_request_to_the_mail_in_another_process() {
    let collector = Collector::start(Manner::Proper);
    let mailbox = Mailbox::open();
    let env = Env::new(&[
        ("MAILER_PORT", mailbox.port()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
    ]);
    let mut web = env.start();
    let _worker = env.start_worker();

    register(&web);
    let mail = mailbox.next(Duration::from_secs(30)).expect("a mail");
    let link = link_in(&mail, &web.url(""));
    let spans = collector.wait_for("process MailerWorker");

    let request = find(&spans, "POST /api/auth/register");
    assert_eq!(request.kind, SpanKind::Server);
    assert_eq!(
        (request.trace.as_str(), request.parent.as_str()),
        (TRACE, PARENT)
    );
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.response.status_code", "200"),
        ("http.route", "/api/auth/register"),
        ("network.protocol.version", "1.1"),
        ("url.path", "/api/auth/register"),
        ("url.scheme", "http"),
    ] {
        assert_eq!(
            request.attributes.get(name).map(String::as_str),
            Some(value),
            "{name}"
        );
    }
    assert_eq!(request.resource["service.name"], "svc");
    assert!(request.resource.contains_key("service.version"));

    let send = find(&spans, "send MailerWorker");
    assert_eq!(
        (send.kind, send.trace.as_str()),
        (SpanKind::Producer, TRACE)
    );
    let process = find(&spans, "process MailerWorker");
    assert_eq!(
        (process.kind, process.trace.as_str()),
        (SpanKind::Consumer, TRACE)
    );
    assert_eq!(process.parent, send.id);
    assert_eq!(
        process.attributes["messaging.destination.name"],
        "MailerWorker"
    );
    for span in [send, process] {
        assert_conforms(span, &MESSAGING);
        assert!(!span.has_failed);
    }

    let insert = find(&spans, "INSERT");
    assert_eq!(
        (insert.kind, insert.trace.as_str()),
        (SpanKind::Client, TRACE)
    );
    assert_eq!(insert.attributes["db.system.name"], "sqlite");
    assert!(insert.attributes["db.query.text"].starts_with("INSERT INTO"));
    let ids: BTreeSet<_> = spans.iter().map(|span| span.id.as_str()).collect();
    for span in &spans {
        match span.kind {
            SpanKind::Client => assert_conforms(span, &DATABASE),
            SpanKind::Server => assert_conforms(span, &SERVER),
            _ => {}
        }
        let is_child = span.trace != TRACE || ids.contains(span.parent.as_str());
        assert!(is_child || span.parent == PARENT, "{span:#?}");
    }
    // What belongs to no request is not traced.
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:#?}");

    // The link contains a token.
    let token = link.rsplit(['/', '=']).next().expect("a token");
    assert!(token.len() > 15, "{link}");
    drop(web.get(&format!("/api/auth/verify/{token}")));
    drop(web.get(&format!("/api/unknown/{token}?token={token}")));
    let spans = collector.wait_for("GET");
    let text = format!("{spans:#?}");
    for secret in [token, "ann@example.com", "Ann", "correct horse"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let verify = find(&spans, "GET /api/auth/verify/{token}");
    assert_eq!(verify.attributes["url.path"], "/api/auth/verify/REDACTED");
    assert_eq!(
        find(&spans, "GET").attributes["http.response.status_code"],
        "404"
    );

    let log = web.log();
    let line = log
        .lines()
        .find(|line| line.contains("status=200") && line.contains("/api/auth/register"))
        .unwrap_or_else(|| panic!("no line in {log}"));
    assert!(line.contains(&format!("trace_id={TRACE}")), "{line}");
    assert!(line.contains(&format!("span_id={}", request.id)), "{line}");
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn a_trace_goes_through_queues_in_redis_and_postgresql() {
    if !needs::program("redis-server") {
        return;
    }
    let Some(server) = needs::postgres() else {
        return;
    };
    let redis = Redis::start().expect("Redis");
    let database = Database::create(server);
    for (queue, variable, url) in [
        ("redis", "REDIS_URL", redis.url().to_string()),
        ("postgres", "QUEUE_URL", database.url()),
    ] {
        let service = build(queue);
        let collector = Collector::start(Manner::Proper);
        let mailbox = Mailbox::open();
        let env = Env::of(
            &service,
            &[
                (variable, &url),
                ("MAILER_PORT", mailbox.port()),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
            ],
        );
        let web = env.start();
        let _worker = env.start_worker();

        register(&web);

        assert!(mailbox.next(Duration::from_secs(30)).is_some(), "{queue}");
        let spans = collector.wait_for("process MailerWorker");
        let send = find(&spans, "send MailerWorker");
        let process = find(&spans, "process MailerWorker");
        assert_eq!((process.trace.as_str(), &process.parent), (TRACE, &send.id));
    }
}

#[test]
fn traces_can_be_added_later_with_the_lines_of_the_readme() {
    const LAYER: &str = ".with(memory::trace_layer::<H, _>())";
    const JOBS: &str = "let ctx = memory::trace_jobs(ctx);";
    let answers = Answers::new("svc").with("background", "sqlite");
    let service = answers.render().expect("the answers render");
    let readme = service.read("memory/README.md");
    for line in [LAYER, JOBS, "\"tracing-spans\""] {
        assert!(readme.contains(line), "{line}");
    }
    for (file, from, to) in [
        ("Cargo.toml", "\"metrics\"]", "\"metrics\", \"traces\"]"),
        ("Cargo.toml", "-sqlite\"]", "-sqlite\", \"tracing-spans\"]"),
        (
            "src/logs.rs",
            ".try_init()",
            &format!("{LAYER}\n        .try_init()"),
        ),
        (
            "src/app.rs",
            "await;\n        Ok(ctx)",
            &format!("await;\n        {JOBS}\n        Ok(ctx)"),
        ),
    ] {
        let text = service.read(file);
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(service.root().join(file), text.replace(from, to)).expect("a file");
    }

    let expected = answers.with("traces", "true").render();
    let expected = expected.expect("the answers render");
    assert_eq!(service.files(), expected.files());
    for file in service.files() {
        if file != Path::new(".template.toml") {
            assert_eq!(
                service.read(&file),
                expected.read(&file),
                "{}",
                file.display()
            );
        }
    }
}

#[test]
fn a_request_to_another_service_continues_the_trace() {
    let collector = Collector::start(Manner::Proper);
    let env = Env::new(&[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())]);
    let web = env.start();

    let sent = web.get("/outgoing/call").expect("a traceparent");

    let spans = collector.wait_for("GET /outgoing/call");
    let request = find(&spans, "GET /outgoing/call");
    // A span of the application's own stays as it is.
    let own = find(&spans, "request");
    assert_eq!(own.kind, SpanKind::Internal);
    assert_eq!((&own.trace, &own.parent), (&request.trace, &request.id));
    let call = find(&spans, "GET");
    assert_eq!(call.kind, SpanKind::Client);
    assert_eq!((&call.trace, &call.parent), (&request.trace, &own.id));
    assert_eq!(sent, format!("00-{}-{}-01", call.trace, call.id));
    assert_eq!(
        call.attributes["url.full"],
        "http://other.example:8080/stock"
    );
    assert_eq!(call.attributes["server.address"], "other.example");
    assert_eq!(call.attributes["server.port"], "8080");
}

#[test]
fn a_request_that_is_not_sampled_is_only_in_the_log() {
    let collector = Collector::start(Manner::Proper);
    let env = Env::new(&[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())]);
    let mut web = env.start();

    register_within(&web, &format!("00-{TRACE}-{PARENT}-00"));
    web.get("/outgoing/call").expect("a traceparent");

    let spans = collector.wait_for("GET /outgoing/call");
    let trace = &find(&spans, "GET /outgoing/call").trace;
    assert!(spans.iter().all(|span| span.trace == *trace), "{spans:#?}");
    let log = web.log();
    assert!(log.contains(&format!("trace_id={TRACE}")), "{log}");
}

#[test]
fn a_task_that_a_request_starts_belongs_to_its_trace() {
    let collector = Collector::start(Manner::Proper);
    let env = Env::new(&[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())]);
    let web = env.start();

    web.get("/outgoing/start").expect("it starts");

    let spans = collector.wait_for("GET /outgoing/start");
    let request = find(&spans, "GET /outgoing/start");
    let task = find(&spans, "task");
    assert_eq!((&task.trace, &task.parent), (&request.trace, &request.id));
    let step = find(&spans, "step");
    assert_eq!((&step.trace, &step.parent), (&request.trace, &task.id));
}

#[test]
fn a_bucket_of_the_latency_names_a_trace() {
    if !needs::program("prometheus") {
        return;
    }
    let collector = Collector::start(Manner::Proper);
    let env = Env::new(&[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())]);
    let mut web = env.start();
    let prometheus = Prometheus::start("groups: []", "200ms").expect("Prometheus");
    let listener = web.memory_listener().expect("a listener");
    prometheus.watch(&listener, "traced").expect("a target");

    register(&web);

    let series = "http_server_request_duration_seconds_bucket{http_route=\"/api/auth/register\"}";
    let start = Instant::now();
    loop {
        let exemplars = prometheus.exemplars(series).expect("exemplars");
        if exemplars.contains(&TRACE.to_string()) {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{exemplars:?}");
        thread::sleep(Duration::from_millis(100));
    }
    let up = prometheus.query("up").expect("a result");
    assert_eq!(up[0]["value"][1], "1", "{up:?}");
}

#[test]
fn without_a_collector_nothing_is_traced() {
    let env = Env::new(&[]);
    let mut web = env.start();

    web.get("/api/auth/check").expect_err("401");
    register(&web);

    let log = web.log();
    assert!(log.contains("/api/auth/register"), "{log}");
    assert!(!log.contains("trace_id"), "{log}");
    let metrics = web.memory_listener().expect("a listener") + "/metrics";
    let mut metrics = ureq::get(metrics).call().expect("metrics");
    let metrics = metrics.body_mut().read_to_string().expect("text");
    assert!(
        !metrics.contains("otel_sdk_exporter_span_exported_total{"),
        "{metrics}"
    );
}

/// The value of a series in the service's metrics.
fn metric(running: &mut Running, series: &str) -> f64 {
    let metrics = running.memory_listener().expect("a listener") + "/metrics";
    let mut metrics = ureq::get(metrics).call().expect("metrics");
    let metrics = metrics.body_mut().read_to_string().expect("text");
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
        .unwrap_or_else(|| panic!("no {series} in {metrics}"))
}

#[test]
fn a_bad_collector_neither_delays_requests_nor_takes_memory() {
    for manner in [Manner::Silent, Manner::Endless, Manner::Overloaded] {
        let collector = Collector::start(manner);
        let env = Env::new(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "64"),
        ]);
        let mut web = env.start();
        for _ in 0..100 {
            web.get("/api/auth/check").expect_err("401");
        }
        let resident = metric(&mut web, "process_resident_memory_bytes ");

        for _ in 0..1000 {
            web.get("/api/auth/check").expect_err("401");
        }
        let dropped = r#"otel_sdk_processor_span_processed_total{error_type="queue_full"} "#;
        let failed = r#"otel_sdk_exporter_span_exported_total{error_type="_OTHER"} "#;
        let start = Instant::now();
        while metric(&mut web, failed) < 1.0 {
            assert!(start.elapsed() < Duration::from_secs(30), "{manner:?}");
            thread::sleep(Duration::from_millis(100));
        }
        let lost = metric(&mut web, dropped) + metric(&mut web, failed);
        assert!(lost > 100.0, "{manner:?}: {lost}");
        assert!(metric(&mut web, "otel_sdk_processor_span_queue_size ") < 65.0);
        let growth = metric(&mut web, "process_resident_memory_bytes ") - resident;
        assert!(growth < 16e6, "{manner:?}: {growth} bytes");
        let log = web.log();
        let warnings = log.matches("traces cannot be exported").count();
        assert_eq!(warnings, 1, "{manner:?}: {log}");

        web.signal("TERM").expect("a signal");
        let status = web.wait(Duration::from_secs(10)).expect("it ends");
        assert!(status.success(), "{manner:?}: {status}");
    }
}

#[test]
fn a_configuration_that_cannot_be_used_is_reported_and_the_service_runs() {
    let env = Env::new(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "not a URL")]);
    let mut web = env.start();

    let log = web.log();

    let warning = log
        .lines()
        .find(|line| line.contains("no traces are exported"));
    assert!(warning.is_some_and(|line| line.contains(" WARN ")), "{log}");
}
