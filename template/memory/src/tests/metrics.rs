//! What Prometheus scrapes.

use std::{fs, io::Write, time::Duration};

use serde_json::json;
use serial_test::serial;

use super::{
    http,
    listener::Listener,
    serve::{self, Service},
};

/// The value of the first line that starts with `series`.
fn value(metrics: &str, series: &str) -> f64 {
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
        .unwrap_or_else(|| panic!("no {series} in:\n{metrics}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn the_process_goes_by_the_names_that_prometheus_has_for_it() {
    let listener = Listener::start("").await;

    let response = listener.get("/metrics");

    assert!(response
        .head
        .contains("content-type: text/plain; version=0.0.4"));
    let metrics = response.text();
    assert!(value(metrics, "process_resident_memory_bytes ") > 1e6);
    assert!(value(metrics, "process_threads ") >= 1.0);
    assert!(metrics.contains("# TYPE process_cpu_seconds_total counter"));
    let seconds = value(metrics, "process_cpu_seconds_total ");
    assert!(seconds > 0.0, "{seconds}");
    #[cfg(feature = "with-db")]
    assert!(value(metrics, "database_connections_max ") >= 1.0);
}

#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn the_allocators_metrics_are_jemallocs_own_figures() {
    let listener = Listener::start("").await;
    let response = listener.get("/metrics");
    let metrics = response.text();
    let stats = listener.get("/memory/stats?format=json").json();

    // Not `resident` and `mapped`: each thread adds megabytes with its first allocation.
    for name in ["allocated", "active", "metadata"] {
        let metric = value(metrics, &format!("jemalloc_{name}_bytes "));
        let own = stats["jemalloc"]["stats"][name].as_f64().expect("bytes");
        // The two are read one after the other, and the responses themselves take memory.
        assert!((metric - own).abs() < 2e6, "{name}: {metric}, {own}");
    }
    let [live, tcache, allocated] = ["live", "tcache", "allocated"]
        .map(|name| value(metrics, &format!("jemalloc_{name}_bytes ")));
    let own = &stats["jemalloc"]["stats.arenas"]["merged"]["internal"];
    let internal = allocated - live - tcache;
    assert!(
        (internal - own.as_f64().expect("bytes")).abs() < 2e6,
        "{metrics}"
    );
    assert!(internal > 0.0, "{metrics}");
    assert!(metrics.contains("jemalloc_info{version=\"5."), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_source_that_cannot_be_read_leaves_the_others() {
    let folder = std::env::temp_dir().join(format!("metrics-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a directory");
    fs::write(folder.join("memory.current"), "no number").expect("a file");
    let cgroup = folder.display().to_string();
    let listener = Listener::start_in("", |ctx| {
        let settings = ctx.config.settings.as_mut().expect("settings");
        settings["memory"]["cgroup"] = cgroup.into();
    })
    .await;

    let response = listener.get("/metrics");

    assert_eq!(response.status, 200, "{response:?}");
    let metrics = response.text();
    assert!(value(metrics, "process_resident_memory_bytes ") > 1e6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn requests_are_counted_by_the_template_of_their_route() {
    let listener = Listener::start("").await;
    let service = Service::start(json!({ "memory": { "bind": "127.0.0.1:0" } })).await;

    for path in ["/posts/1", "/posts/2", "/nowhere/1", "/nowhere/2"] {
        http::send(service.address, "GET", path, "", "");
    }

    let response = listener.get("/metrics");
    let metrics = response.text();
    let count = |series: &str| -> f64 {
        metrics
            .lines()
            .filter(|line| line.starts_with(series))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    };
    let posts = r#"http_server_request_duration_seconds_count{http_request_method="GET",http_route="/posts/{id}",http_response_status_code="200"}"#;
    assert!(count(posts) >= 2.0, "{metrics}");
    assert!(count("http_server_request_duration_seconds_count{") >= 4.0);
    assert!(!metrics.contains("nowhere"));
    assert!(value(metrics, "http_requests_in_flight ") < 1.0);
    assert!(metrics.contains("build_info{version=\""), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn requests_whose_client_goes_away_are_counted() {
    let listener = Listener::start("").await;
    let service = Service::start(json!({ "memory": { "bind": "127.0.0.1:0" } })).await;
    let series = r#"http_requests_aborted_total{http_request_method="GET",http_route="/wait"} "#;
    let aborted = || {
        let response = listener.get("/metrics");
        let line = response
            .text()
            .lines()
            .find_map(|line| line.strip_prefix(series));
        line.map_or(0.0, |value| value.parse::<f64>().expect("a number"))
    };
    let before = aborted();

    let mut client = serve::connect(service.address);
    write!(client, "GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("a request");
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(client);
    http::send(service.address, "GET", "/wait", "", "");

    assert!((aborted() - before - 1.0).abs() < 0.1, "{}", aborted());
}

#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn the_memory_of_requests_is_reported_by_route() {
    const SIZES: [u32; 3] = [1 << 20, 16 << 20, 4 << 20];
    let listener = Listener::start("").await;
    let service = Service::start(json!({ "memory": { "bind": "127.0.0.1:0" } })).await;
    let sums = || {
        let response = listener.get("/metrics");
        let labels = r#"{http_request_method="GET",http_route="/allocate/{bytes}"}"#;
        let series = |name: &str| {
            let lines = response.text().lines();
            let series = format!("http_request_{name}{labels} ");
            let values = lines.filter_map(|line| line.strip_prefix(&series)?.parse::<f64>().ok());
            values.sum::<f64>()
        };
        [
            series("peak_memory_bytes_count"),
            series("peak_memory_bytes_sum"),
            series("allocated_bytes_sum"),
        ]
    };
    for bytes in SIZES {
        let before = sums();
        for _ in 0..5 {
            let path = format!("/allocate/{bytes}");
            http::send(service.address, "GET", &path, "", "");
        }

        let after = sums();
        let [count, peak, allocated] = [0, 1, 2].map(|index| after[index] - before[index]);
        assert!((count - 5.0).abs() < 0.1, "{count} requests");
        let ratio = |sum: f64| sum / count / f64::from(bytes);
        assert!((ratio(peak) - 1.0).abs() < 0.05, "{bytes}: peak {peak}");
        assert!(
            (ratio(allocated) / 2.0 - 1.0).abs() < 0.05,
            "{bytes}: {allocated}"
        );
    }
    let report = listener.get("/memory");
    let report = report.text();
    let row = report
        .lines()
        .find(|line| line.ends_with("  GET /allocate/{bytes}"));
    let row = row.unwrap_or_else(|| panic!("no row in {report}"));
    assert!(row.trim_start().starts_with("16.0 MiB"), "{row}");
}

#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn the_memory_of_jobs_is_reported_by_worker() {
    const BYTES: usize = 4 << 20;
    let listener = Listener::start("").await;

    for _ in 0..5 {
        let job = crate::job("ThumbnailWorker", async {
            let first = std::hint::black_box(vec![1_u8; BYTES]).len();
            first + std::hint::black_box(vec![1_u8; BYTES]).len()
        });
        assert_eq!(job.await, 2 * BYTES);
    }

    let response = listener.get("/metrics");
    let per_job = |name: &str| {
        let series = format!("background_job_{name}_bytes");
        let labels = r#"{worker="ThumbnailWorker"} "#;
        let sum = value(response.text(), &format!("{series}_sum{labels}"));
        sum / value(response.text(), &format!("{series}_count{labels}"))
    };
    let mebibytes = |bytes: f64| bytes / f64::from(1 << 20);
    assert!((mebibytes(per_job("peak_memory")) - 4.0).abs() < 0.2);
    assert!((mebibytes(per_job("allocated")) - 8.0).abs() < 0.4);
    let report = listener.get("/memory");
    let mut lines = report.text().lines();
    let row = lines.find(|line| line.ends_with("           5  ThumbnailWorker"));
    assert!(row.is_some_and(|row| row.contains("4.0 MiB")), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn how_long_requests_wait_to_begin_is_reported() {
    let listener = Listener::start("").await;
    let settings = json!({
        "memory": { "bind": "127.0.0.1:0" },
        "requests": { "in_flight": 1 },
    });
    let service = Service::start(settings).await;
    let waited = |metrics: &str| value(metrics, "http_request_wait_seconds_count ");
    let before = waited(listener.get("/metrics").text());

    let both = [(); 2].map(|()| {
        let address = service.address;
        std::thread::spawn(move || http::send(address, "GET", "/wait", "", ""))
    });
    for one in both {
        one.join().expect("a response");
    }

    let response = listener.get("/metrics");
    assert!(waited(response.text()) > before, "{}", response.text());
    let bucket = r#"http_request_wait_seconds_bucket{le="1"}"#;
    assert!(response.text().contains(bucket), "{}", response.text());
}
