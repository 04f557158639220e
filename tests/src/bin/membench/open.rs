//! Requests at a fixed rate. Latency counts from when a request was due: a request that starts
//! late because others take long is as slow as its client sees it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use template_tests::siege::client::{connect_from, exchange, get, Stats};
use tokio::{
    net::TcpStream,
    runtime::Runtime,
    task::JoinSet,
    time::{sleep_until, timeout},
};

use crate::load::LoadResult;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Connections that are not in use by a request.
type Idle = Arc<Mutex<Vec<TcpStream>>>;

/// Sends this many requests per second.
///
/// # Errors
///
/// If the runtime does not start, or no request succeeds.
pub fn run(port: u16, path: &str, rate: u32, seconds: u32) -> Result<LoadResult> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let request = get(path);
    let runtime = Runtime::new()?;
    let stats = runtime.block_on(async {
        let idle = Idle::default();
        let start = Instant::now();
        let mut requests = JoinSet::new();
        for number in 0..rate * seconds {
            let due = start + Duration::from_secs(1) * number / rate;
            sleep_until(due.into()).await;
            let (idle, request) = (Arc::clone(&idle), request.clone());
            requests.spawn(async move {
                let response = timeout(TIMEOUT, send(&idle, address, &request)).await;
                let mut stats = Stats::default();
                stats.record(due, response.unwrap_or_else(|elapsed| Err(elapsed.into())));
                stats
            });
        }
        let mut stats = Stats::default();
        for one in requests.join_all().await {
            stats.merge(one);
        }
        stats
    });
    #[allow(clippy::cast_precision_loss)]
    Ok(LoadResult {
        requests: stats.times_ms.len() as f64,
        seconds: f64::from(seconds),
        p50_ms: stats.quantile_ms(0.5).context("no response")?,
        p99_ms: stats.quantile_ms(0.99).context("no response")?,
        failed: stats.refused + stats.failed,
    })
}

async fn send(
    idle: &Idle,
    address: SocketAddr,
    request: &[u8],
) -> Result<template_tests::siege::client::Response> {
    let open = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut stream = match open {
        Some(stream) => stream,
        None => connect_from(Ipv4Addr::LOCALHOST, address).await?,
    };
    let response = exchange(&mut stream, request).await?;
    idle.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(stream);
    Ok(response)
}
