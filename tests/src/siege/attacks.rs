//! The attacks on a service.

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout_at},
};

use super::client::{connect_from, exchange, get, post, repeat, Stats};

/// A row of the siege.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// Nothing: how honest clients fare without an attack.
    None,
    Burst,
    Waiting,
    WaitingAndHolding,
    SlowReaders,
    SlowReadersOfCompressed,
    SlowSenders,
    SlowBodies,
    EndlessBodies,
    EndlessHeads,
    SlowHeads,
    Idle,
    JsonBombs,
    TinyChunks,
    Pipelines,
    UnreadPings,
    GoneAtOnce,
    ConnectFlood,
    LoginFlood,
    /// Half of the clients request what waits, half what holds a lot of memory.
    Mixed,
    /// This and the next are no rows of the siege: their throughput counts.
    FewBytes,
    FromDatabase,
}

impl Attack {
    pub const ALL: [Self; 20] = [
        Self::None,
        Self::Burst,
        Self::Waiting,
        Self::WaitingAndHolding,
        Self::SlowReaders,
        Self::SlowReadersOfCompressed,
        Self::SlowSenders,
        Self::SlowBodies,
        Self::EndlessBodies,
        Self::EndlessHeads,
        Self::SlowHeads,
        Self::Idle,
        Self::JsonBombs,
        Self::TinyChunks,
        Self::Pipelines,
        Self::UnreadPings,
        Self::GoneAtOnce,
        Self::ConnectFlood,
        Self::LoginFlood,
        Self::Mixed,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "no attack",
            Self::Burst => "1600 clients, 500 KB each held 10 ms",
            Self::Waiting => "1600 clients, each answer waits 1 s",
            Self::WaitingAndHolding => "the same, holding 500 KB meanwhile",
            Self::SlowReaders => "300 clients read 6 MB slowly",
            Self::SlowReadersOfCompressed => "the same, compressed",
            Self::SlowSenders => "1000 clients send a byte a second",
            Self::SlowBodies => "3000 bodies, just fast enough not to be cut off",
            Self::EndlessBodies => "200 bodies of 1.9 MB that never end",
            Self::EndlessHeads => "900 heads of 380 KB that never end",
            Self::SlowHeads => "1000 heads, a line a second",
            Self::Idle => "10 000 idle connections",
            Self::JsonBombs => "100 clients send 1.9 MB of JSON numbers",
            Self::TinyChunks => "100 bodies in chunks of a byte",
            Self::Pipelines => "200 clients ask 1000 times and read nothing",
            Self::UnreadPings => "2000 clients ask for pings and read nothing",
            Self::GoneAtOnce => "400 clients ask for 500 KB and go",
            Self::ConnectFlood => "200 clients connect and go",
            Self::LoginFlood => "200 clients log in all the time",
            Self::Mixed => "800 clients wait 1 s, 800 ask for 500 KB",
            Self::FewBytes => "1600 clients ask for a few bytes",
            Self::FromDatabase => "200 clients ask for 5 KB from the database",
        }
    }

    /// Attacks until this time. Returns what the attackers themselves got.
    pub async fn run(self, address: SocketAddr, until: Instant) -> Stats {
        match self {
            Self::None => {
                sleep(until.saturating_duration_since(Instant::now())).await;
                Stats::default()
            }
            Self::Burst => load(1600, address, until, get(BURST)).await,
            Self::Waiting => load(1600, address, until, get(WAITING)).await,
            Self::WaitingAndHolding => {
                load(1600, address, until, get("/load/posts?wait_ms=1000")).await
            }
            Self::SlowReaders => {
                let request = get("/load/large");
                swarm(300, until, move || slow_reader(address, request.clone())).await
            }
            Self::SlowReadersOfCompressed => {
                let accept =
                    b"GET /load/noise HTTP/1.1\r\nhost: localhost\r\naccept-encoding: br\r\n\r\n";
                let request = accept.to_vec();
                swarm(300, until, move || slow_reader(address, request.clone())).await
            }
            Self::SlowSenders => swarm(1000, until, move || slow_sender(address)).await,
            Self::SlowBodies => {
                let [some, others] = [ATTACKERS, OTHER_ATTACKERS]
                    .map(|from| swarm(1500, until, move || slow_body(from, address)));
                tokio::join!(some, others).0
            }
            Self::EndlessBodies => swarm(200, until, move || endless_body(address)).await,
            Self::EndlessHeads => swarm(900, until, move || endless_head(address)).await,
            Self::SlowHeads => swarm(1000, until, move || slow_head(address)).await,
            Self::Idle => swarm(10_000, until, move || idle(address)).await,
            Self::JsonBombs => {
                let bomb = post("/load/json", &format!("[{}0]", "0,".repeat(950_000)));
                swarm(100, until, move || send(address, bomb.clone())).await
            }
            Self::TinyChunks => swarm(100, until, move || tiny_chunks(address)).await,
            Self::Pipelines => swarm(200, until, move || pipeline(address)).await,
            Self::UnreadPings => {
                let pings = get("/_ping").repeat(1000);
                swarm(2000, until, move || unread(address, pings.clone())).await
            }
            Self::GoneAtOnce => swarm(400, until, move || gone_at_once(address)).await,
            Self::ConnectFlood => swarm(200, until, move || connect_only(address)).await,
            Self::LoginFlood => {
                let ann = r#""email":"ann@example.com","password":"correct horse battery""#;
                let register = format!("{{{ann},\"name\":\"Ann\"}}");
                drop(send(address, post("/api/auth/register", &register)).await);
                let login = post("/api/auth/login", &format!("{{{ann}}}"));
                load(200, address, until, login).await
            }
            Self::FewBytes => load(1600, address, until, get("/load/small")).await,
            Self::FromDatabase => {
                drop(send(address, post("/load/setup", "")).await);
                load(200, address, until, get("/load/stored?posts=10")).await
            }
            Self::Mixed => {
                let waiting = load(800, address, until, get(WAITING));
                let burst = load(800, address, until, get(BURST));
                let (mut stats, others) = tokio::join!(waiting, burst);
                stats.merge(others);
                stats
            }
        }
    }
}

/// The addresses of the attackers, which differ from those of honest clients.
const ATTACKERS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const OTHER_ATTACKERS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    connect_from(ATTACKERS, address).await
}

const BURST: &str = "/load/posts?wait_ms=10";
const WAITING: &str = "/load/wait?wait_ms=1000";

async fn load(count: usize, address: SocketAddr, until: Instant, request: Vec<u8>) -> Stats {
    let mut clients = JoinSet::new();
    for _ in 0..count {
        clients.spawn(repeat(
            ATTACKERS,
            address,
            vec![request.clone()],
            Duration::ZERO,
            until,
        ));
    }
    let mut stats = Stats::default();
    while let Some(client) = clients.join_next().await {
        stats.merge(client.unwrap_or_default());
    }
    stats
}

/// Runs this many attackers, each of which repeats the attack.
async fn swarm<F>(
    count: usize,
    until: Instant,
    attack: impl Fn() -> F + Clone + Send + 'static,
) -> Stats
where
    F: Future<Output = Result<()>> + Send,
{
    let mut attackers = JoinSet::new();
    for _ in 0..count {
        let attack = attack.clone();
        attackers.spawn(async move {
            while Instant::now() < until {
                // Whatever the service does, the attacker comes back.
                drop(timeout_at(until.into(), attack()).await);
                sleep(Duration::from_millis(100)).await;
            }
        });
    }
    attackers.join_all().await;
    Stats::default()
}

/// A connection with a small receive buffer.
async fn connect_with_small_buffer(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((ATTACKERS, 0).into())?;
    socket.set_recv_buffer_size(4096)?;
    socket.connect(address).await
}

async fn slow_reader(address: SocketAddr, request: Vec<u8>) -> Result<()> {
    let mut stream = connect_with_small_buffer(address).await?;
    stream.write_all(&request).await?;
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await? > 0 {
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn slow_sender(address: SocketAddr) -> Result<()> {
    let mut stream = connect(address).await?;
    stream
        .write_all(b"POST /load/take HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n")
        .await?;
    loop {
        stream.write_all(b"x").await?;
        sleep(Duration::from_secs(1)).await;
    }
}

/// A body that is just fast enough for any limit on its rate.
async fn slow_body(from: Ipv4Addr, address: SocketAddr) -> Result<()> {
    let mut stream = connect_from(from, address).await?;
    stream
        .write_all(b"POST /load/take HTTP/1.1\r\nhost: localhost\r\ncontent-length: 16000\r\n\r\n")
        .await?;
    loop {
        stream.write_all(&[b'x'; 300]).await?;
        sleep(Duration::from_secs(1)).await;
    }
}

/// Reads until the service closes the connection.
async fn until_closed(stream: &mut TcpStream) -> Result<()> {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

async fn endless_body(address: SocketAddr) -> Result<()> {
    let mut stream = connect(address).await?;
    stream
        .write_all(
            b"POST /load/take HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1900000\r\n\r\n",
        )
        .await?;
    stream.write_all(&vec![b'x'; 1_899_000]).await?;
    until_closed(&mut stream).await
}

async fn endless_head(address: SocketAddr) -> Result<()> {
    let mut stream = connect(address).await?;
    let line = format!("x-filler: {}\r\n", "x".repeat(990));
    stream
        .write_all(format!("GET / HTTP/1.1\r\nhost: localhost\r\n{}", line.repeat(380)).as_bytes())
        .await?;
    until_closed(&mut stream).await
}

async fn slow_head(address: SocketAddr) -> Result<()> {
    let mut stream = connect(address).await?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n")
        .await?;
    loop {
        sleep(Duration::from_secs(1)).await;
        stream.write_all(b"x-filler: x\r\n").await?;
    }
}

async fn idle(address: SocketAddr) -> Result<()> {
    let mut stream = connect(address).await?;
    exchange(&mut stream, &get("/load/small")).await?;
    until_closed(&mut stream).await
}

async fn send(address: SocketAddr, request: Vec<u8>) -> Result<()> {
    let mut stream = connect(address).await?;
    exchange(&mut stream, &request).await?;
    Ok(())
}

async fn tiny_chunks(address: SocketAddr) -> Result<()> {
    let mut stream = connect(address).await?;
    stream
        .write_all(
            b"POST /load/take HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n",
        )
        .await?;
    let chunks = "1\r\nx\r\n".repeat(1000);
    loop {
        stream.write_all(chunks.as_bytes()).await?;
        sleep(Duration::from_millis(10)).await;
    }
}

async fn pipeline(address: SocketAddr) -> Result<()> {
    let mut stream = connect(address).await?;
    stream.write_all(&get("/load/posts").repeat(1000)).await?;
    sleep(Duration::from_secs(3600)).await;
    Ok(())
}

async fn unread(address: SocketAddr, requests: Vec<u8>) -> Result<()> {
    let mut stream = connect_with_small_buffer(address).await?;
    stream.write_all(&requests).await?;
    sleep(Duration::from_secs(3600)).await;
    Ok(())
}

async fn gone_at_once(address: SocketAddr) -> Result<()> {
    let mut stream = connect(address).await?;
    stream.write_all(&get("/load/posts?wait_ms=10")).await?;
    sleep(Duration::from_millis(5)).await;
    // Closing with unread data sends a reset.
    Ok(())
}

async fn connect_only(address: SocketAddr) -> Result<()> {
    for _ in 0..20 {
        drop(connect(address).await?);
    }
    Ok(())
}
