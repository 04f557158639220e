//! Measures one service under load, and pairs of services.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{anyhow, Result};
use template_tests::Running;

use crate::{
    load::{LoadKind, LoadResult, Route, Wrk},
    open, process,
    service::Service,
};

/// Seconds after the load at which memory is read.
pub const AFTER: [f64; 7] = [0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// The next service may start this long after the load, when this one is idle. CPU time is read
/// after the last sample, since returning memory after the load has a cost, too.
const IDLE_AFTER: Duration = Duration::from_secs(5);
/// The number of bursts in a load of bursts, each a second long, with pauses of a second.
const BURSTS: u32 = 4;

/// The rest after the load of a pair, which counts towards its CPU time.
const PAIR_REST: Duration = Duration::from_millis(2500);
const WARM_UP: Duration = Duration::from_millis(1500);
const SAMPLE_INTERVAL: Duration = Duration::from_millis(50);

/// One round of one service.
pub struct Round {
    pub idle_mb: f64,
    pub peak_mb: f64,
    /// RSS and LazyFree at each time in [`AFTER`].
    pub after_mb: Vec<(f64, f64)>,
    pub cpu_us_per_request: f64,
    pub result: LoadResult,
    pub series: Vec<(f64, f64)>,
}

/// Puts a service under load, alone on the machine. Its memory is then sampled on another thread,
/// so that the next service need not wait for half a minute.
///
/// # Errors
///
/// If the service or the load fails.
pub fn memory(
    service: &Service,
    path: &str,
    wrk: &Wrk,
    seconds: u32,
) -> Result<JoinHandle<Result<Round>>> {
    let server = service.start()?;
    let id = server.pid();
    thread::sleep(WARM_UP);
    let (idle_mb, _) = process::rss_and_lazy_free_mb(id)?;
    let cpu_before = process::cpu_seconds(id)?;

    let url = server.url(path);
    let started = Instant::now();
    let (result, mut series) = thread::scope(|scope| {
        let load = scope.spawn(|| wrk.run(&url, seconds));
        let mut series = vec![(0.0, idle_mb)];
        while !load.is_finished() {
            series.push((started.elapsed().as_secs_f64(), process::rss_mb(id)?));
            thread::sleep(SAMPLE_INTERVAL);
        }
        let result = load.join().map_err(|_| anyhow!("the load panicked"))??;
        Ok::<_, anyhow::Error>((result, series))
    })?;
    let ended = Instant::now();

    let idle_at = Instant::now() + IDLE_AFTER;
    let sampling = thread::spawn(move || {
        let mut after_mb = Vec::new();
        for seconds in AFTER {
            let until = ended + Duration::from_secs_f64(seconds);
            loop {
                let now = Instant::now();
                let step = if seconds > 5.0 {
                    SAMPLE_INTERVAL * 10
                } else {
                    SAMPLE_INTERVAL
                };
                if now + step >= until {
                    break;
                }
                thread::sleep(step);
                series.push((started.elapsed().as_secs_f64(), process::rss_mb(id)?));
            }
            thread::sleep(until.saturating_duration_since(Instant::now()));
            let (rss, lazy_free) = process::rss_and_lazy_free_mb(id)?;
            series.push((started.elapsed().as_secs_f64(), rss));
            after_mb.push((rss, lazy_free));
        }
        let cpu = process::cpu_seconds(id)? - cpu_before;
        let round = Round {
            idle_mb,
            peak_mb: process::peak_mb(id)?,
            after_mb,
            cpu_us_per_request: cpu * 1e6 / result.requests,
            result,
            series: series
                .into_iter()
                .map(|(at, mb)| (at - (ended - started).as_secs_f64(), mb))
                .collect(),
        };
        drop(server);
        Ok(round)
    });
    thread::sleep(idle_at.saturating_duration_since(Instant::now()));
    Ok(sampling)
}

/// Puts one service under load at a fixed request rate.
///
/// # Errors
///
/// If the service or the load fails.
pub fn fixed_rate(
    service: &Service,
    path: &str,
    rate: u32,
    seconds: u32,
) -> Result<(LoadResult, f64)> {
    let server = service.start()?;
    thread::sleep(WARM_UP);
    let result = open::run(server.port(), path, rate, seconds)?;
    Ok((result, process::peak_mb(server.pid())?))
}

/// Two services under load during the same seconds: whatever else the machine does affects both
/// equally.
pub struct Pair {
    servers: [Running; 2],
    /// The URL of the first service's metrics, if they are scraped every second.
    metrics: Option<String>,
}

impl Pair {
    /// # Errors
    ///
    /// If a service does not start.
    pub fn start(service: &Service, reference: &Service) -> Result<Self> {
        let servers = [service.start()?, reference.start()?];
        for server in &servers {
            ureq::post(server.url("/load/setup")).send_empty()?;
        }
        Ok(Self {
            servers,
            metrics: None,
        })
    }

    /// As `start`, with the first service's metrics scraped every second, as Prometheus might do.
    ///
    /// # Errors
    ///
    /// If a service does not start, or has no metrics.
    pub fn start_scraped(service: &Service, reference: &Service) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let pair = Self::start(&service.clone().listening(port), reference)?;
        let metrics = format!("http://127.0.0.1:{port}/metrics");
        ureq::get(&metrics).call()?;
        Ok(Self {
            metrics: Some(metrics),
            ..pair
        })
    }

    /// CPU time per request as a ratio to the reference, and the number of failed requests.
    ///
    /// # Errors
    ///
    /// If a service or the load fails.
    pub fn cpu_ratio(&self, route: &Route, wrk: &Wrk, seconds: u32) -> Result<(f64, u64)> {
        let done = &AtomicBool::new(false);
        let [one, two] = thread::scope(|scope| {
            if let Some(metrics) = &self.metrics {
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        // Only the load is measured, so a failed scrape does not matter.
                        drop(ureq::get(metrics).call());
                        thread::sleep(Duration::from_secs(1));
                    }
                });
            }
            let loads = self.servers.each_ref().map(|server| {
                let (id, port) = (server.pid(), server.port());
                scope.spawn(move || cpu_per_request(id, port, route, wrk, seconds))
            });
            let results = loads.map(|load| {
                load.join()
                    .unwrap_or_else(|_| Err(anyhow!("the load panicked")))
            });
            done.store(true, Ordering::Relaxed);
            results
        });
        let ((one, one_failed), (two, two_failed)) = (one?, two?);
        Ok((one / two, one_failed + two_failed))
    }
}

/// CPU time per request, up to the end of a rest after the load.
fn cpu_per_request(
    id: u32,
    port: u16,
    route: &Route,
    wrk: &Wrk,
    seconds: u32,
) -> Result<(f64, u64)> {
    let url = format!("http://localhost:{port}{}", route.path);
    let before = process::cpu_seconds(id)?;
    let (requests, failed) = match route.load {
        LoadKind::Closed => {
            let result = wrk.run(&url, seconds)?;
            (result.requests, result.failed)
        }
        LoadKind::Bursts => {
            let mut sum = (0.0, 0);
            for _ in 0..BURSTS {
                let result = wrk.run(&url, 1)?;
                sum = (sum.0 + result.requests, sum.1 + result.failed);
                thread::sleep(Duration::from_secs(1));
            }
            sum
        }
        LoadKind::Open { rate } => {
            let result = open::run(port, route.path, rate, seconds)?;
            (result.requests, result.failed)
        }
    };
    thread::sleep(PAIR_REST);
    let cpu = process::cpu_seconds(id)? - before;
    Ok((cpu / requests, failed))
}
