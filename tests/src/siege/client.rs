//! Clients on raw connections, which do exactly what they are told.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{bail, Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

/// How long an honest client waits for a response.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A response: its status, and the length of its body.
#[derive(Debug, Clone, Copy)]
pub struct Response {
    pub status: u16,
    pub length: usize,
    /// Whether the service closes the connection after it.
    pub closes_connection: bool,
}

#[must_use]
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

#[must_use]
pub fn post(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends a request on an open connection, and reads the whole response.
///
/// # Errors
///
/// If the connection closes before the end of the response, or the response has no length.
pub async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Result<Response> {
    stream.write_all(request).await?;
    let mut response = Vec::with_capacity(1024);
    let mut buffer = [0; 16 << 10];
    let end = loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            bail!("the connection was closed");
        }
        response.extend_from_slice(&buffer[..length]);
        if let Some(end) = response.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&response[..end]).to_lowercase();
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .context("no length")?
        .trim()
        .parse()?;
    let mut left = length.saturating_sub(response.len() - end);
    while left > 0 {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            bail!("the connection was closed");
        }
        left = left.saturating_sub(length);
    }
    Ok(Response {
        status,
        length,
        closes_connection: head.contains("\r\nconnection: close"),
    })
}

/// The results of a client's requests.
#[derive(Debug, Default, Clone)]
pub struct Stats {
    /// Milliseconds from the first attempt to the end of the response, for each success.
    pub times_ms: Vec<f64>,
    /// Responses with 503.
    pub refused: u64,
    /// No response, or another error.
    pub failed: u64,
    pub last_failure: Option<String>,
}

impl Stats {
    pub fn merge(&mut self, other: Self) {
        self.times_ms.extend(other.times_ms);
        self.refused += other.refused;
        self.failed += other.failed;
        self.last_failure = other.last_failure.or(self.last_failure.take());
    }

    /// The latency of successful requests at this quantile, from 0 to 1, if there are any.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let mut times = self.times_ms.clone();
        times.sort_unstable_by(f64::total_cmp);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        #[allow(clippy::cast_precision_loss)]
        let index = ((times.len() as f64 - 1.0) * quantile).round() as usize;
        times.get(index).copied()
    }

    /// Records the response to a request that was first sent at `start`.
    pub fn record(&mut self, start: Instant, response: Result<Response>) {
        match response {
            Ok(response) if response.status < 400 => {
                self.times_ms.push(start.elapsed().as_secs_f64() * 1000.0);
            }
            Ok(response) if response.status == 503 => self.refused += 1,
            Ok(response) => {
                self.failed += 1;
                self.last_failure = Some(format!("status {}", response.status));
            }
            Err(err) => {
                self.failed += 1;
                self.last_failure = Some(format!("{err:#}"));
            }
        }
    }
}

/// Sends requests repeatedly, with a pause after each response. Like every HTTP client, it keeps
/// its connection open, and opens another one if the service has closed it.
pub async fn repeat(
    from: Ipv4Addr,
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    pause: Duration,
    until: Instant,
) -> Stats {
    let mut stats = Stats::default();
    let mut open = None;
    for request in requests.iter().cycle() {
        if Instant::now() >= until {
            break;
        }
        let start = Instant::now();
        let response = match timeout(TIMEOUT, send(from, address, &mut open, request)).await {
            Ok(response) => response,
            Err(_) => {
                open = None;
                Err(anyhow::anyhow!(
                    "no response within {} s",
                    TIMEOUT.as_secs()
                ))
            }
        };
        let has_failed = response.is_err();
        stats.record(start, response);
        sleep(if has_failed {
            Duration::from_millis(100)
        } else {
            pause
        })
        .await;
    }
    stats
}

/// Sends requests until a response is the last on its connection, like a load balancer that sends
/// its requests elsewhere from then on. Returns how many were lost until then: not refused, but
/// never answered.
pub async fn repeat_until_closed(
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    pause: Duration,
    limit: Duration,
) -> u64 {
    let mut lost = 0;
    let mut open = None;
    let until = Instant::now() + limit;
    for request in requests.iter().cycle() {
        if Instant::now() >= until {
            break;
        }
        match timeout(
            TIMEOUT,
            send(Ipv4Addr::LOCALHOST, address, &mut open, request),
        )
        .await
        {
            Ok(Ok(response)) if response.closes_connection => break,
            Ok(Ok(_)) => {}
            // It no longer listens, so nothing was sent.
            Ok(Err(err)) if is_refused(&err) => break,
            Ok(Err(_)) | Err(_) => lost += 1,
        }
        sleep(pause).await;
    }
    lost
}

fn is_refused(err: &anyhow::Error) -> bool {
    err.downcast_ref::<io::Error>()
        .is_some_and(|err| err.kind() == io::ErrorKind::ConnectionRefused)
}

async fn send(
    from: Ipv4Addr,
    address: SocketAddr,
    open: &mut Option<TcpStream>,
    request: &[u8],
) -> Result<Response> {
    if let Some(mut stream) = open.take() {
        if let Ok(response) = exchange(&mut stream, request).await {
            *open = (!response.closes_connection).then_some(stream);
            return Ok(response);
        }
    }
    let mut stream = connect_from(from, address).await?;
    let response = exchange(&mut stream, request).await?;
    *open = (!response.closes_connection).then_some(stream);
    Ok(response)
}

/// Connects from this address.
///
/// # Errors
///
/// If nothing listens there.
pub async fn connect_from(from: Ipv4Addr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
