//! Clients over raw connections: they do just what they are told to.

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

/// How long an honest client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer: its status, and the bytes of its body.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    pub status: u16,
    pub length: usize,
    /// The service closes the connection after it.
    pub is_last: bool,
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

/// Sends a request on an open connection, and reads the whole answer.
///
/// # Errors
///
/// When the connection ends before the answer does, or the answer has no length.
pub async fn ask(stream: &mut TcpStream, request: &[u8]) -> Result<Answer> {
    stream.write_all(request).await?;
    let mut answer = Vec::with_capacity(1024);
    let mut buffer = [0; 16 << 10];
    let end = loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            bail!("the connection ended");
        }
        answer.extend_from_slice(&buffer[..length]);
        if let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .context("no length")?
        .trim()
        .parse()?;
    let mut left = length.saturating_sub(answer.len() - end);
    while left > 0 {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            bail!("the connection ended");
        }
        left = left.saturating_sub(length);
    }
    Ok(Answer {
        status,
        length,
        is_last: head.contains("\r\nconnection: close"),
    })
}

/// What a client got.
#[derive(Debug, Default, Clone)]
pub struct Served {
    /// Milliseconds from the first attempt to the end of the answer, of each good one.
    pub times_ms: Vec<f64>,
    /// Answers with 503.
    pub refused: u64,
    /// No answer, or another error.
    pub failed: u64,
    pub last_failure: Option<String>,
}

impl Served {
    pub fn merge(&mut self, other: Self) {
        self.times_ms.extend(other.times_ms);
        self.refused += other.refused;
        self.failed += other.failed;
        self.last_failure = other.last_failure.or(self.last_failure.take());
    }

    /// Milliseconds within which so many, from 0 to 1, of the good answers came, if there are any.
    #[must_use]
    pub fn within(&self, share: f64) -> Option<f64> {
        let mut times = self.times_ms.clone();
        times.sort_unstable_by(f64::total_cmp);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        #[allow(clippy::cast_precision_loss)]
        let index = ((times.len() as f64 - 1.0) * share).round() as usize;
        times.get(index).copied()
    }

    /// Counts an answer to what was first asked at `start`.
    pub fn count(&mut self, start: Instant, answer: Result<Answer>) {
        match answer {
            Ok(answer) if answer.status < 400 => {
                self.times_ms.push(start.elapsed().as_secs_f64() * 1000.0);
            }
            Ok(answer) if answer.status == 503 => self.refused += 1,
            Ok(answer) => {
                self.failed += 1;
                self.last_failure = Some(format!("status {}", answer.status));
            }
            Err(err) => {
                self.failed += 1;
                self.last_failure = Some(format!("{err:#}"));
            }
        }
    }
}

/// Asks again and again, with a pause after each answer. As every HTTP client does, it keeps its
/// connection, and takes another where the service has closed it meanwhile.
pub async fn repeat(
    from: Ipv4Addr,
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    pause: Duration,
    until: Instant,
) -> Served {
    let mut served = Served::default();
    let mut open = None;
    for request in requests.iter().cycle() {
        if Instant::now() >= until {
            break;
        }
        let start = Instant::now();
        let answer = match timeout(PATIENCE, once(from, address, &mut open, request)).await {
            Ok(answer) => answer,
            Err(_) => {
                open = None;
                Err(anyhow::anyhow!("no answer within {} s", PATIENCE.as_secs()))
            }
        };
        let has_failed = answer.is_err();
        served.count(start, answer);
        sleep(if has_failed {
            Duration::from_millis(100)
        } else {
            pause
        })
        .await;
    }
    served
}

/// Asks until an answer says that it is the last on its connection, as a load balancer does that
/// sends its requests elsewhere from then on. How many were lost before: not refused, but never
/// answered.
pub async fn until_sent_away(
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    pause: Duration,
    patience: Duration,
) -> u64 {
    let mut lost = 0;
    let mut open = None;
    let until = Instant::now() + patience;
    for request in requests.iter().cycle() {
        if Instant::now() >= until {
            break;
        }
        match timeout(
            PATIENCE,
            once(Ipv4Addr::LOCALHOST, address, &mut open, request),
        )
        .await
        {
            Ok(Ok(answer)) if answer.is_last => break,
            Ok(Ok(_)) => {}
            // It listens no more: nothing was sent.
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

async fn once(
    from: Ipv4Addr,
    address: SocketAddr,
    open: &mut Option<TcpStream>,
    request: &[u8],
) -> Result<Answer> {
    if let Some(mut stream) = open.take() {
        if let Ok(answer) = ask(&mut stream, request).await {
            *open = (!answer.is_last).then_some(stream);
            return Ok(answer);
        }
    }
    let mut stream = connect_from(from, address).await?;
    let answer = ask(&mut stream, request).await?;
    *open = (!answer.is_last).then_some(stream);
    Ok(answer)
}

/// Connects from this address.
///
/// # Errors
///
/// When nobody listens.
pub async fn connect_from(from: Ipv4Addr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
