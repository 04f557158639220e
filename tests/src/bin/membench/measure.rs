//! One server under load, and pairs of servers.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{anyhow, Result};
use template_tests::Running;

use crate::{
    load::{Answers, Load, Route, Wrk},
    open, process,
    service::Service,
};

/// Seconds after the load at which memory is read.
pub const AFTER: [f64; 7] = [0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// From here on a server only rests, and the next may start. CPU time counts until then: what is done
/// about memory once the load has ended is paid for.
const RESTING: Duration = Duration::from_secs(5);
/// Bursts of the load in a row of bursts, each of a second, with pauses of a second.
const BURSTS: u32 = 4;

/// The same after a load of a pair.
const REST: Duration = Duration::from_millis(2500);
const BEFORE: Duration = Duration::from_millis(1500);
const TICK: Duration = Duration::from_millis(50);

/// One round of one service.
pub struct Round {
    pub idle_mb: f64,
    pub peak_mb: f64,
    /// RSS and LazyFree at each time of [`AFTER`].
    pub after_mb: Vec<(f64, f64)>,
    pub cpu_us_per_request: f64,
    pub answers: Answers,
    pub series: Vec<(f64, f64)>,
}

/// Loads a service alone on the machine. It is then watched on a thread of its own, so that the
/// next one need not wait until half a minute has passed.
///
/// # Errors
///
/// When the service or the load fails.
pub fn memory(
    service: &Service,
    path: &str,
    wrk: &Wrk,
    seconds: u32,
) -> Result<JoinHandle<Result<Round>>> {
    let server = service.start()?;
    let id = server.pid();
    thread::sleep(BEFORE);
    let (idle_mb, _) = process::rss_and_lazy_free_mb(id)?;
    let cpu_before = process::cpu_seconds(id)?;

    let url = server.url(path);
    let started = Instant::now();
    let (answers, mut series) = thread::scope(|scope| {
        let load = scope.spawn(|| wrk.run(&url, seconds));
        let mut series = vec![(0.0, idle_mb)];
        while !load.is_finished() {
            series.push((started.elapsed().as_secs_f64(), process::rss_mb(id)?));
            thread::sleep(TICK);
        }
        let answers = load.join().map_err(|_| anyhow!("the load panicked"))??;
        Ok::<_, anyhow::Error>((answers, series))
    })?;
    let ended = Instant::now();

    let resting = Instant::now() + RESTING;
    let watch = thread::spawn(move || {
        let mut after_mb = Vec::new();
        for seconds in AFTER {
            let until = ended + Duration::from_secs_f64(seconds);
            loop {
                let now = Instant::now();
                let step = if seconds > 5.0 { TICK * 10 } else { TICK };
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
            cpu_us_per_request: cpu * 1e6 / answers.requests,
            answers,
            series: series
                .into_iter()
                .map(|(at, mb)| (at - (ended - started).as_secs_f64(), mb))
                .collect(),
        };
        drop(server);
        Ok(round)
    });
    thread::sleep(resting.saturating_duration_since(Instant::now()));
    Ok(watch)
}

/// One server at a fixed rate of requests.
///
/// # Errors
///
/// When the service or the load fails.
pub fn at_a_rate(service: &Service, path: &str, rate: u32, seconds: u32) -> Result<(Answers, f64)> {
    let server = service.start()?;
    thread::sleep(BEFORE);
    let answers = open::run(server.port(), path, rate, seconds)?;
    Ok((answers, process::peak_mb(server.pid())?))
}

/// Two servers that are loaded in the same seconds: what else the machine does hits both alike.
pub struct Pair {
    servers: [Running; 2],
    /// Where the first one's metrics are read, each second.
    metrics: Option<String>,
}

impl Pair {
    /// # Errors
    ///
    /// When a service does not start.
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

    /// As `start`; the first service's metrics are read each second, as Prometheus might.
    ///
    /// # Errors
    ///
    /// When a service does not start, or has no metrics.
    pub fn start_watched(service: &Service, reference: &Service) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let pair = Self::start(&service.clone().listening(port), reference)?;
        let metrics = format!("http://127.0.0.1:{port}/metrics");
        ureq::get(&metrics).call()?;
        Ok(Self {
            metrics: Some(metrics),
            ..pair
        })
    }

    /// CPU time for each request, as a ratio to the reference's, and the answers that failed.
    ///
    /// # Errors
    ///
    /// When a service or the load fails.
    pub fn cpu_ratio(&self, route: &Route, wrk: &Wrk, seconds: u32) -> Result<(f64, u64)> {
        let done = &AtomicBool::new(false);
        let [one, two] = thread::scope(|scope| {
            if let Some(metrics) = &self.metrics {
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        // The load is what is measured: a reading that fails is one less.
                        drop(ureq::get(metrics).call());
                        thread::sleep(Duration::from_secs(1));
                    }
                });
            }
            let loads = self.servers.each_ref().map(|server| {
                let (id, port) = (server.pid(), server.port());
                scope.spawn(move || cpu_per_request(id, port, route, wrk, seconds))
            });
            let ends = loads.map(|load| {
                load.join()
                    .unwrap_or_else(|_| Err(anyhow!("the load panicked")))
            });
            done.store(true, Ordering::Relaxed);
            ends
        });
        let ((one, one_failed), (two, two_failed)) = (one?, two?);
        Ok((one / two, one_failed + two_failed))
    }
}

/// CPU time for each request, to the end of a rest after the load.
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
        Load::Closed => {
            let answers = wrk.run(&url, seconds)?;
            (answers.requests, answers.failed)
        }
        Load::Bursts => {
            let mut sum = (0.0, 0);
            for _ in 0..BURSTS {
                let answers = wrk.run(&url, 1)?;
                sum = (sum.0 + answers.requests, sum.1 + answers.failed);
                thread::sleep(Duration::from_secs(1));
            }
            sum
        }
        Load::Open { rate } => {
            let answers = open::run(port, route.path, rate, seconds)?;
            (answers.requests, answers.failed)
        }
    };
    thread::sleep(REST);
    let cpu = process::cpu_seconds(id)? - before;
    Ok((cpu / requests, failed))
}
