//! What Prometheus reads.

use std::fs;

use serial_test::serial;

use super::admin::Service;

/// The value of the first line that begins so.
fn value(metrics: &str, series: &str) -> f64 {
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
        .unwrap_or_else(|| panic!("no {series} in:\n{metrics}"))
}

#[test]
#[serial]
fn the_process_goes_by_the_names_that_prometheus_has_for_it() {
    let service = Service::start(&[]);

    let answer = service.get("/metrics");

    assert!(answer
        .head
        .contains("content-type: text/plain; version=0.0.4"));
    let metrics = answer.text();
    let rss = value(metrics, "process_resident_memory_bytes ");
    assert!(rss > 1e6);
    assert!(value(metrics, "process_threads ") >= 1.0);
{%- unless starter == "lightweight" %}
    assert!(value(metrics, "database_connections_max ") >= 1.0);
{%- endunless %}
}

#[test]
#[serial]
fn the_allocators_metrics_are_jemallocs_own_figures() {
    let service = Service::start(&[]);
    let metrics = service.get("/metrics");
    let metrics = metrics.text();
    let stats = service.get("/memory/stats?format=json").json();

    // Not `resident` and `mapped`: each thread that allocates for the first time adds megabytes.
    for name in ["allocated", "active", "metadata"] {
        let metric = value(metrics, &format!("jemalloc_{name}_bytes "));
        let own = stats["jemalloc"]["stats"][name].as_f64().expect("bytes");
        // The two are read one after the other, and the answers themselves take memory.
        assert!((metric - own).abs() < 2e6, "{name}: {metric}, {own}");
    }
    let info = metrics
        .lines()
        .find(|line| line.starts_with("jemalloc_info{version=\"5."))
        .expect("the allocator's version");
    assert!(info.contains(concat!(
        "profile=\"",
        env!("MEMORY_PROFILE"),
        "\",options=\""
    )));
}

#[test]
#[serial]
fn a_source_that_cannot_be_read_leaves_the_others() {
    let folder = std::env::temp_dir().join(format!("metrics-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a directory");
    fs::write(folder.join("memory.current"), "no number").expect("a file");
    let guard = "    guard_percent:";
    let config = include_str!("../../config/test.yaml").replace(
        guard,
        &format!("    cgroup: '{}'\n{guard}", folder.display()),
    );
    fs::write(folder.join("test.yaml"), config).expect("a configuration");
    let folder = folder.display().to_string();
    let service = Service::start(&[("LOCO_CONFIG_FOLDER", folder.as_str())]);

    let answer = service.get("/metrics");

    assert_eq!(answer.status, 200, "{answer:?}");
    let metrics = answer.text();
    assert!(value(metrics, "process_resident_memory_bytes ") > 1e6);
    assert!(!metrics.contains("\ncgroup_memory_current_bytes "));
}

#[test]
#[serial]
fn requests_are_counted_by_the_template_of_their_route() {
    let service = Service::start(&[]);

    for path in ["/_ping", "/_ping", "/nowhere/1", "/nowhere/2"] {
        service.public(path);
    }

    let metrics = service.get("/metrics");
    let metrics = metrics.text();
    let count = |series: &str| -> f64 {
        metrics
            .lines()
            .filter(|line| line.starts_with(series))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    };
    assert!(
        count(r#"http_request_duration_seconds_count{method="GET",route="/_ping",status="200"}"#)
            >= 2.0
    );
    assert!(count("http_request_duration_seconds_count{") >= 4.0);
    assert!(!metrics.contains("nowhere"));
    assert!(value(metrics, "http_requests_in_flight ") < 1.0);
}
