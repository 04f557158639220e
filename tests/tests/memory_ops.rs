//! Slow tier: what those on call see and do. One service is built with everything for them, on
//! jemalloc's own defaults, with which an idle service keeps its memory.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use template_tests::{needs, options, Answers, Browser, Rendered, Running, CLIPPY};

const MIB: f64 = (1 << 20) as f64;

/// A leak that a developer might add by mistake: each call keeps 10 MiB. And a burst: 200 MiB in
/// pieces of 64 KiB, freed at its end.
const PLANTED_ROUTES: &str = r#"
static KEPT: std::sync::Mutex<Vec<Vec<u8>>> = std::sync::Mutex::new(Vec::new());

#[inline(never)]
fn keep_ten_mebibytes() {
    KEPT.lock().expect("a lock").push(vec![1; 10 << 20]);
}

async fn leak() -> Result<Response> {
    keep_ten_mebibytes();
    format::empty()
}

async fn burst() -> Result<Response> {
    drop((0..3200).map(|_| vec![1_u8; 64 << 10]).collect::<Vec<_>>());
    format::empty()
}
"#;

/// Calls the memory listener in every way that a page may, and tells what it could read.
const PAGE: &str = r#"<!doctype html><body><script>
const calls = [];
for (const mode of ["cors", "no-cors"]) {
  for (const [method, path] of [["GET", "/memory"], ["GET", "/metrics"], ["POST", "/memory/purge"]]) {
    const call = fetch(`LISTENER${path}`, { method, mode });
    calls.push(call.then((response) => response.text()).catch(() => ""));
  }
}
Promise.all(calls).then((texts) => {
  document.body.innerText = `${texts.length} calls, read: "${texts.join("")}"`;
});
</script></body>"#;

fn answers() -> Answers {
    Answers::new("svc")
        .with("starter", "lightweight")
        .with("memory_profile", "jemalloc")
        .with("memory_metrics", "true")
        .with("heap_profiling", "true")
}

/// The service with the planted routes, and its binary; built once.
fn service() -> &'static (Rendered, PathBuf) {
    static SERVICE: OnceLock<(Rendered, PathBuf)> = OnceLock::new();
    SERVICE.get_or_init(|| {
        let service = answers().render().expect("the answers render");
        let home = service.root().join("src/controllers/home.rs");
        let routes = r#".add("/", get(current))"#;
        let text = fs::read_to_string(&home).expect("the controller");
        assert!(text.contains(routes));
        let text = text.replace(
            routes,
            r#".add("/", get(current)).add("/leak", get(leak)).add("/burst", get(burst))"#,
        );
        fs::write(&home, text + PLANTED_ROUTES).expect("the controller");
        let binary = service.build().expect("it builds");
        (service, binary)
    })
}

/// A running service and its memory listener.
struct OnCall {
    service: Running,
    listener: String,
}

impl OnCall {
    fn start(env: &[(&str, &str)]) -> Self {
        let (rendered, binary) = service();
        let mut service = rendered.start(binary, env).expect("it starts");
        let listener = service.memory_listener().expect("a listener");
        Self { service, listener }
    }

    fn get(&self, path: &str) -> String {
        ureq::get(format!("{}{path}", self.listener))
            .call()
            .unwrap_or_else(|err| panic!("{path}: {err}"))
            .body_mut()
            .read_to_string()
            .expect("text")
    }

    fn post(&self, path: &str) -> Value {
        ureq::post(format!("{}{path}", self.listener))
            .send_empty()
            .unwrap_or_else(|err| panic!("{path}: {err}"))
            .body_mut()
            .read_json()
            .expect("JSON")
    }

    /// The value of a metric without labels.
    fn metric(&self, name: &str) -> f64 {
        let metrics = self.get("/metrics");
        metrics
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
            .unwrap_or_else(|| panic!("no {name} in:\n{metrics}"))
    }

    fn call(&self, path: &str, times: usize) {
        for _ in 0..times {
            self.service.get(path).expect("2xx");
        }
    }

    /// A value from the kernel for this process, in bytes.
    fn rollup(&self, field: &str) -> f64 {
        let path = format!("/proc/{}/smaps_rollup", self.service.pid());
        let rollup = fs::read_to_string(path).expect("smaps_rollup");
        let line = rollup
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .unwrap_or_else(|| panic!("no {field} in {rollup}"));
        let kibibytes = line.trim().trim_end_matches(" kB").parse::<f64>();
        kibibytes.expect("a number") * 1024.0
    }
}

/// Two values that are read one after the other may differ by 3 % or 2 MiB.
fn assert_agree(name: &str, one: f64, other: f64) {
    assert!(
        (one - other).abs() <= (0.03 * other).max(2.0 * MIB),
        "{name}: {:.1} MiB and {:.1} MiB",
        one / MIB,
        other / MIB
    );
}

fn promtool(args: &[&str], input: &str) {
    let mut promtool = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    promtool
        .stdin
        .take()
        .expect("piped")
        .write_all(input.as_bytes())
        .expect("its input");
    let output = promtool.wait_with_output().expect("it ends");
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "promtool {args:?}: {text}");
    if args.starts_with(&["check", "metrics"]) {
        assert_eq!(text, "", "promtool has remarks");
    }
}

/// Serves a page to every request. Returns its port.
fn serve(page: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            // All of a browser's request, or as much as matters
            drop(stream.read(&mut [0; 4096]));
            let length = page.len();
            drop(write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\
                 content-length: {length}\r\n\r\n{page}"
            ));
        }
    });
    port
}

#[test]
#[ignore = "its tests are those of the other services: the workflow on GitHub runs it, with --ignored"]
fn the_service_is_clean_and_its_own_tests_pass() {
    let service = answers().render().expect("the answers render");
    service
        .run(&["fmt", "--all", "--check"])
        .expect("it is formatted");
    service.run(&["test"]).expect("its own tests pass");
    service.run(&CLIPPY).expect("clippy passes");
}

#[test]
fn the_metrics_agree_with_jemalloc_and_with_the_kernel() {
    let on_call = OnCall::start(&[]);
    on_call.call("/api/leak", 10);
    on_call.call("/api/burst", 1);

    let stats: Value =
        serde_json::from_str(&on_call.get("/memory/stats?format=json")).expect("JSON");
    for name in [
        "allocated",
        "active",
        "metadata",
        "resident",
        "mapped",
        "retained",
    ] {
        let own = stats["jemalloc"]["stats"][name].as_f64().expect("bytes");
        assert_agree(name, on_call.metric(&format!("jemalloc_{name}_bytes")), own);
    }
    let page = stats["jemalloc"]["arenas"]["page"].as_f64().expect("bytes");
    let merged = &stats["jemalloc"]["stats.arenas"]["merged"];
    for (name, pages) in [("dirty", "pdirty"), ("muzzy", "pmuzzy")] {
        let own = merged[pages].as_f64().expect("pages") * page;
        assert_agree(name, on_call.metric(&format!("jemalloc_{name}_bytes")), own);
    }

    let rss = on_call.metric("process_resident_memory_bytes");
    assert_agree("RSS", rss, on_call.rollup("Rss:"));
    let lazy_free = on_call.metric("process_lazyfree_memory_bytes");
    assert_agree("LazyFree", lazy_free, on_call.rollup("LazyFree:"));
    // For jemalloc, resident memory is an upper bound: it includes pages that were never touched.
    let anonymous = on_call.rollup("Anonymous:");
    let allocated = on_call.metric("jemalloc_allocated_bytes");
    let resident = on_call.metric("jemalloc_resident_bytes");
    assert!(allocated > 100.0 * MIB, "{:.1} MiB", allocated / MIB);
    assert!(
        allocated < 1.03 * anonymous && anonymous < 1.03 * resident,
        "{:.1} MiB allocated, the kernel counts {:.1} MiB, {:.1} MiB resident",
        allocated / MIB,
        anonymous / MIB,
        resident / MIB
    );
}

#[test]
fn a_purge_returns_what_an_idle_service_keeps_and_reports_how_much() {
    let on_call = OnCall::start(&[]);
    let idle = on_call.rollup("Rss:");
    on_call.call("/api/burst", 1);
    let kept = on_call.rollup("Rss:");
    assert!(
        kept - idle > 150.0 * MIB,
        "the burst left {:.0} MiB",
        (kept - idle) / MIB
    );
    assert!(on_call.metric("jemalloc_dirty_bytes") > 150.0 * MIB);

    let purged = on_call.post("/memory/purge");

    let after = on_call.rollup("Rss:");
    assert!(
        after - idle < 20.0 * MIB,
        "{:.0} MiB remain",
        (after - idle) / MIB
    );
    let returned = purged["returned_bytes"].as_f64().expect("bytes");
    assert_agree("returned", returned, kept - after);
}

#[test]
fn pages_in_a_browser_read_nothing_and_do_nothing() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let on_call = OnCall::start(&[]);
    on_call.call("/api/burst", 1);

    for name in ["127.0.0.1", "rebound.test"] {
        let listener = on_call.listener.replace("127.0.0.1", name);
        let port = serve(PAGE.replace("LISTENER", &listener));
        browser.open(&format!("http://{name}:{port}/"));
        browser.see("6 calls, read: \"\"");
    }
    browser.open(&format!(
        "{}/memory",
        on_call.listener.replace("127.0.0.1", "rebound.test")
    ));
    browser.see("forbidden");

    let kept = on_call.metric("jemalloc_dirty_bytes");
    assert!(kept > 150.0 * MIB, "{:.0} MiB are left", kept / MIB);
    browser.open(&format!("{}/memory", on_call.listener));
    browser.see("profile");
}

#[test]
fn a_leak_counts_as_live_memory_and_the_flame_graph_names_its_source() {
    let on_call = OnCall::start(&[]);
    on_call.post("/debug/pprof/heap/activate");
    let before = on_call.metric("jemalloc_live_bytes");
    on_call.call("/api/leak", 10);

    let grown = on_call.metric("jemalloc_live_bytes") - before;
    // A little memory from the start may be freed meanwhile.
    assert!(grown > 99.0 * MIB, "{:.1} MiB", grown / MIB);
    let purged = on_call.post("/memory/purge");
    let returned = purged["returned_bytes"].as_f64().expect("bytes");
    assert!(
        returned < 50.0 * MIB,
        "live data is not returned: {returned}"
    );

    let svg = on_call.get("/debug/pprof/heap/flamegraph");
    let left = on_call.metric("jemalloc_live_bytes") - before - grown;
    assert!(left < 10.0 * MIB, "the profile kept {:.0} MiB", left / MIB);
    let title = svg
        .split("<title>")
        .find(|title| title.contains("keep_ten_mebibytes"))
        .unwrap_or_else(|| panic!("the function is not named: {svg:.2000}"));
    // `svc::…::keep_ten_mebibytes (104,857,600 bytes, 97.2%)`
    let (_, bytes) = title.split_once('(').expect("a size");
    let bytes: String = bytes.split(' ').next().expect("a number").replace(',', "");
    let bytes: f64 = bytes.parse().expect("bytes");
    assert!((bytes / (100.0 * MIB) - 1.0).abs() < 0.2, "{title:.200}");
}

#[test]
fn the_guard_purges_near_the_cgroup_limit_and_logs_it_once() {
    let cgroup = tempfile::tempdir().expect("a directory");
    let write = |file: &str, text: &str| {
        fs::write(cgroup.path().join(file), text).expect("a file");
    };
    write("memory.max", "1000000\n");
    write("memory.stat", "inactive_file 0\n");
    write("memory.current", "100000\n");
    let (rendered, _) = service();
    let config = tempfile::tempdir().expect("a directory");
    let text = rendered.read("config/development.yaml");
    let guard = "    guard_percent:";
    assert!(text.contains(guard));
    let text = text.replace(
        guard,
        &format!("    cgroup: {}\n{guard}", cgroup.path().display()),
    );
    fs::write(config.path().join("development.yaml"), text).expect("the configuration");
    let folder = config.path().display().to_string();
    let mut on_call = OnCall::start(&[
        ("LOCO_CONFIG_FOLDER", folder.as_str()),
        ("MEMORY_GUARD_PERCENT", "90"),
    ]);
    on_call.call("/api/burst", 1);
    let kept = on_call.rollup("Rss:");
    assert!(on_call.metric("memory_guard_purges_total") < 1.0);
    assert!((on_call.metric("cgroup_memory_limit_bytes") - 1e6).abs() < 1.0);

    // A file that cannot be read for a while stops neither the guard nor the other metrics.
    write("memory.current", "\n");
    thread::sleep(Duration::from_secs(3));
    assert!(on_call.metric("jemalloc_allocated_bytes") > 1.0);
    write("memory.current", "950000\n");

    let since = Instant::now();
    while on_call.metric("memory_guard_purges_total") < 1.0 {
        assert!(since.elapsed() < Duration::from_secs(30), "no purge");
        thread::sleep(Duration::from_millis(100));
    }
    assert!(kept - on_call.rollup("Rss:") > 150.0 * MIB);
    let log = on_call.service.log();
    let warnings: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("memory is near the cgroup's limit"))
        .collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains("limit_bytes=1000000"), "{warnings:?}");
    let errors = log.matches("the memory guard has failed").count();
    assert_eq!(errors, 1, "{log}");
}

#[test]
fn a_second_process_on_the_same_address_runs_and_logs_what_is_missing() {
    let on_call = OnCall::start(&[]);
    let address = on_call.listener.trim_start_matches("http://");
    let (rendered, binary) = service();

    let mut second = rendered
        .start(binary, &[("MEMORY_ADMIN_BIND", address)])
        .expect("it starts");

    let log = second.log();
    let warning = log
        .lines()
        .find(|line| line.contains("memory listener not started"))
        .unwrap_or_else(|| panic!("no warning:\n{log}"));
    assert!(
        warning.contains(address) && warning.contains("settings.memory.bind"),
        "{warning}"
    );
}

#[test]
fn prometheus_accepts_metrics_rules_and_configuration() {
    if !needs::program("promtool") {
        return;
    }
    let on_call = OnCall::start(&[]);
    on_call.call("/api", 1);
    promtool(&["check", "metrics"], &on_call.get("/metrics"));

    let (service, _) = service();
    let file = |name: &str| {
        let path = service.root().join("monitoring").join(name);
        path.display().to_string()
    };
    promtool(&["check", "rules", &file("alerts.yaml")], "");
    promtool(&["check", "config", &file("prometheus.yaml")], "");
}

#[test]
fn each_alert_fires_when_it_should_and_not_before() {
    if !needs::program("promtool") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    // With a queue that counts its jobs, which adds alerts.
    let service = Answers::new("svc").with("background", "sqlite");
    let service = service.render().expect("the answers render");
    fs::write(
        directory.path().join("alerts.yaml"),
        service.read("monitoring/alerts.yaml"),
    )
    .expect("the rules");
    let cases = directory.path().join("cases.yaml");
    fs::write(&cases, include_str!("alerts.yaml")).expect("the cases");

    promtool(&["test", "rules", &cases.display().to_string()], "");
}

/// The labels of metrics of requests.
const LABELS: [&str; 3] = [
    "http_request_method",
    "http_response_status_code",
    "http_route",
];

#[test]
fn the_dashboard_queries_existing_metrics() {
    let on_call = OnCall::start(&[("MEMORY_GUARD_PERCENT", "90")]);
    on_call.call("/api", 1);
    let metrics = on_call.get("/metrics");
    let names: BTreeSet<&str> = metrics
        .lines()
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let (service, _) = service();
    let dashboard: Value =
        serde_json::from_str(&service.read("monitoring/dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut queried = BTreeSet::new();
    for panel in panels {
        for target in panel["targets"].as_array().expect("targets") {
            let query = target["expr"].as_str().expect("a query");
            queried.extend(
                query
                    .split(|c: char| !c.is_ascii_lowercase() && c != '_')
                    .filter(|word| {
                        ["jemalloc_", "process_", "http_", "memory_"]
                            .iter()
                            .any(|prefix| word.starts_with(prefix))
                            && !LABELS.contains(word)
                    })
                    .map(String::from),
            );
        }
    }
    assert!(queried.len() > 10, "{queried:?}");
    for metric in queried {
        assert!(
            names.contains(metric.as_str()),
            "the service has no {metric}"
        );
    }
}

#[test]
fn malloc_conf_accepts_exactly_the_options_of_heap_profiling_that_jemalloc_accepts() {
    let (service, binary) = service();

    let mut accepted = options::accepted_by_jemalloc(service, binary).expect("jemalloc's parser");
    accepted.retain(|name| name.starts_with("prof") || name.starts_with("lg_prof"));

    assert_eq!(
        options::accepted_by_hook("PROFILING_OPTIONS").expect("the hook's table"),
        accepted
    );
}

#[test]
fn without_the_answers_nothing_is_added() {
    for (starter, profile) in [("lightweight", "balanced"), ("rest-api", "lean")] {
        let service = Answers::new("svc")
            .with("starter", starter)
            .with("memory_profile", profile)
            .with("memory_metrics", "false")
            .with("heap_profiling", "false")
            .render()
            .expect("the answers render");
        assert!(!service.has("monitoring"));
        let tree = service
            .run(&[
                "tree", "--edges", "all", "--target", "all", "--prefix", "none",
            ])
            .expect("a tree");
        for package in [
            "metrics",
            "metrics-exporter-prometheus",
            "metrics-process",
            "inferno",
        ] {
            assert!(
                !tree
                    .lines()
                    .any(|line| line.starts_with(&format!("{package} v"))),
                "{package} is in the tree"
            );
        }
    }
}

#[test]
fn each_answer_adds_only_its_own_part() {
    for (metrics, profiling) in [("true", "false"), ("false", "true")] {
        let service = Answers::new("svc")
            .with("memory_metrics", metrics)
            .with("heap_profiling", profiling)
            .render()
            .expect("the answers render");
        let manifest = service.read("Cargo.toml");
        let config = service.read(".cargo/config.toml");
        for (answer, feature) in [(metrics, "\"metrics\""), (profiling, "\"heap-profiling\"")] {
            assert_eq!(manifest.contains(feature), answer == "true", "{feature}");
        }
        assert_eq!(service.has("monitoring"), metrics == "true");
        assert_eq!(
            config.matches("prof:true,prof_active:true").count(),
            if profiling == "true" { 5 } else { 0 },
            "either every target has the options of heap profiling, or none does"
        );
        assert_eq!(manifest.contains("strip"), profiling == "false");
    }
}
