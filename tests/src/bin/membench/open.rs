//! Requests at a fixed rate. The time of each counts from when it was due: one that comes late because
//! others take long is as late as its client sees it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use template_tests::siege::client::{ask, connect_from, get, Served};
use tokio::{
    net::TcpStream,
    runtime::Runtime,
    task::JoinSet,
    time::{sleep_until, timeout},
};

use crate::load::Answers;

const PATIENCE: Duration = Duration::from_secs(30);

/// Connections that no request uses at the moment.
type Idle = Arc<Mutex<Vec<TcpStream>>>;

/// Sends so many requests a second.
///
/// # Errors
///
/// When there is no runtime, or no answer.
pub fn run(port: u16, path: &str, rate: u32, seconds: u32) -> Result<Answers> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let request = get(path);
    let runtime = Runtime::new()?;
    let served = runtime.block_on(async {
        let idle = Idle::default();
        let start = Instant::now();
        let mut requests = JoinSet::new();
        for number in 0..rate * seconds {
            let due = start + Duration::from_secs(1) * number / rate;
            sleep_until(due.into()).await;
            let (idle, request) = (Arc::clone(&idle), request.clone());
            requests.spawn(async move {
                let answer = timeout(PATIENCE, once(&idle, address, &request)).await;
                let mut served = Served::default();
                served.count(due, answer.unwrap_or_else(|late| Err(late.into())));
                served
            });
        }
        let mut served = Served::default();
        for one in requests.join_all().await {
            served.merge(one);
        }
        served
    });
    #[allow(clippy::cast_precision_loss)]
    Ok(Answers {
        requests: served.times_ms.len() as f64,
        seconds: f64::from(seconds),
        p50_ms: served.within(0.5).context("no answer")?,
        p99_ms: served.within(0.99).context("no answer")?,
        failed: served.refused + served.failed,
    })
}

async fn once(
    idle: &Idle,
    address: SocketAddr,
    request: &[u8],
) -> Result<template_tests::siege::client::Answer> {
    let open = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut stream = match open {
        Some(stream) => stream,
        None => connect_from(Ipv4Addr::LOCALHOST, address).await?,
    };
    let answer = ask(&mut stream, request).await?;
    idle.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(stream);
    Ok(answer)
}
