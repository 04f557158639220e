//! Metrics in Prometheus' text format. Figures of the allocator, the process and the system are
//! read on demand; only requests are counted as they come.

pub mod admission;
mod black_box;
mod cgroup;
#[cfg(feature = "with-db")]
mod database;
#[cfg(feature = "traces")]
mod exemplars;
pub mod http;
#[cfg(feature = "with-db")]
mod jobs;
pub mod process;
#[cfg(all(feature = "redis-queue", feature = "with-db"))]
mod redis_queue;
pub mod routes;
mod top;
#[cfg(feature = "traces")]
mod traces;
pub mod workers;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    http::{header, HeaderMap},
    Router,
};
use loco_rs::prelude::*;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::{
    sync::Mutex,
    task::spawn_blocking,
    time::{interval, MissedTickBehavior},
};

use crate::{
    allocator, black_box::BlackBox, cgroup::Cgroup, listener::AdminResult, settings::Memory,
};

/// Buckets of all histograms of seconds, going by their names.
const SECONDS_BUCKETS: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 11.0, 30.0,
];
/// Buckets of all histograms of bytes, going by their names.
const BYTES_BUCKETS: [f64; 9] = [1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8];
/// How often samples are sorted into the buckets of histograms, even if nobody asks for metrics:
/// they would pile up.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

struct Metrics {
    #[cfg(feature = "with-db")]
    ctx: AppContext,
    #[cfg(feature = "with-db")]
    jobs: jobs::Jobs,
    black_box: Option<BlackBox>,
    cgroup: Option<Cgroup>,
    recorder: &'static PrometheusHandle,
    /// Allows one call at a time, since reading takes locks of the allocator and of the process's
    /// memory.
    permit: Mutex<()>,
}

/// Starts to collect metrics, and returns the route that serves them.
///
/// # Errors
///
/// If something else in the process collects metrics already.
#[cfg_attr(not(feature = "with-db"), allow(unused_variables))]
pub fn routes(settings: &Memory, ctx: &AppContext) -> Result<Router> {
    let metrics = Metrics {
        #[cfg(feature = "with-db")]
        ctx: ctx.clone(),
        #[cfg(feature = "with-db")]
        jobs: jobs::Jobs::default(),
        black_box: BlackBox::new(settings),
        cgroup: Cgroup::find(settings.cgroup.as_deref()),
        recorder: recorder()?,
        permit: Mutex::default(),
    };
    Ok(Router::new()
        .route("/metrics", get(render))
        .with_state(Arc::new(metrics)))
}

/// The process's only recorder, to which the macros of the crate `metrics` write from anywhere.
fn recorder() -> Result<&'static PrometheusHandle> {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(recorder) = RECORDER.get() {
        return Ok(recorder);
    }
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_string()), &SECONDS_BUCKETS)
        .and_then(|builder| {
            let suffix = Matcher::Suffix("_bytes".to_string());
            builder.set_buckets_for_metric(suffix, &BYTES_BUCKETS)
        })
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(Error::msg)?;
    admission::describe();
    allocator::metrics::describe();
    black_box::describe();
    cgroup::describe();
    #[cfg(feature = "with-db")]
    database::describe();
    http::describe();
    #[cfg(feature = "with-db")]
    jobs::describe();
    process::describe();
    routes::describe();
    #[cfg(feature = "traces")]
    traces::describe();
    workers::describe();

    let upkeep = recorder.clone();
    tokio::spawn(async move {
        let mut tick = interval(UPKEEP_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(RECORDER.get_or_init(|| recorder))
}

#[cfg_attr(not(feature = "traces"), allow(unused_variables))]
async fn render(State(metrics): State<Arc<Metrics>>, headers: HeaderMap) -> AdminResult<Response> {
    let _permit = metrics.permit.lock().await;
    #[cfg(feature = "with-db")]
    {
        database::read(&metrics.ctx.db);
        metrics.jobs.read(&metrics.ctx.config).await;
    }
    let for_blocking = Arc::clone(&metrics);
    admission::read();
    #[cfg(feature = "traces")]
    traces::read();
    spawn_blocking(move || {
        warn_on_error("allocator", allocator::metrics::read());
        warn_on_error("process", process::read());
        if let Some(black_box) = &for_blocking.black_box {
            warn_on_error("black box", black_box::read(black_box));
        }
        if let Some(cgroup) = &for_blocking.cgroup {
            warn_on_error("cgroup", cgroup::read(cgroup));
        }
    })
    .await
    .map_err(Error::msg)?;
    let text = process::as_counter(&metrics.recorder.render());
    #[cfg(feature = "traces")]
    if crate::traces::queue().is_some() && accepts_open_metrics(&headers) {
        let content_type = [(header::CONTENT_TYPE, exemplars::CONTENT_TYPE)];
        let text = exemplars::open_metrics(&text, routes::DURATION);
        return Ok((content_type, text).into_response());
    }
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    Ok((content_type, text).into_response())
}

#[cfg(feature = "traces")]
fn accepts_open_metrics(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get(header::ACCEPT)
        .and_then(|accepted| accepted.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("application/openmetrics-text"))
}

/// Logs an error of one source, whose figures stay as they were, so that the others are still
/// served.
fn warn_on_error(source: &str, read: Result<()>) {
    if let Err(err) = read {
        tracing::warn!(%err, source, "cannot read metrics");
    }
}

/// Gauges are floats, which are exact up to 8 PiB.
#[allow(clippy::cast_precision_loss)]
pub fn set(gauge: &'static str, value: u64) {
    metrics::gauge!(gauge).set(value as f64);
}
