//! Slow tier: SIGTERM while a few hundred connections send requests. Unix only, because of the
//! signals.
#![cfg(unix)]

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        Arc, OnceLock,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use template_tests::{Answers, Rendered, Running};

const CONNECTIONS: usize = 300;
/// The longest that a load may run.
const LIMIT: Duration = Duration::from_secs(60);

/// What the load shares with the test.
#[derive(Default)]
struct Shared {
    responses: AtomicUsize,
    /// Persistent connections that the service asked the client to close.
    asked_to_close: AtomicUsize,
    not_ready: AtomicBool,
}

/// Clients behind a load balancer. Each sends its next request as soon as it has a response, every
/// other client on a new connection each time. A connection that the service closes is reopened,
/// unless the balancer knows from `/_readiness` that the service accepts no more.
struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Result<(), String>>>,
}

impl Load {
    fn start(port: u16) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let shared = Arc::new(Shared::default());
        let balancer = Arc::clone(&shared);
        thread::spawn(move || {
            let started = Instant::now();
            while started.elapsed() < LIMIT && is_ready(address) {
                thread::sleep(Duration::from_millis(200));
            }
            balancer.not_ready.store(true, Ordering::SeqCst);
        });
        let clients = (0..CONNECTIONS)
            .map(|number| {
                let shared = Arc::clone(&shared);
                thread::Builder::new()
                    .stack_size(128 * 1024)
                    .spawn(move || client(address, number % 2 == 0, &shared))
                    .expect("a thread")
            })
            .collect();
        Self { shared, clients }
    }

    fn responses(&self) -> usize {
        self.shared.responses.load(Ordering::SeqCst)
    }

    /// Waits until every client has had a few responses on average.
    fn wait_until_busy(&self) {
        let started = Instant::now();
        while self.responses() < 5 * CONNECTIONS {
            assert!(
                started.elapsed() < LIMIT,
                "only {} responses",
                self.responses()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for all clients, and returns what went wrong.
    fn join(self) -> Vec<String> {
        self.clients
            .into_iter()
            .filter_map(|client| client.join().expect("no panic").err())
            .collect()
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

fn is_ready(address: SocketAddr) -> bool {
    connect(address)
        .and_then(|mut stream| send(&mut stream, "/_readiness", false))
        .is_ok_and(|response| response.starts_with("HTTP/1.1 200"))
}

/// Sends requests until the service stops. A failure after a request was sent is an error; a
/// refused connection is not.
fn client(address: SocketAddr, keep_alive: bool, shared: &Shared) -> Result<(), String> {
    let started = Instant::now();
    while started.elapsed() < LIMIT && !shared.not_ready.load(Ordering::SeqCst) {
        let Ok(mut stream) = connect(address) else {
            return Ok(());
        };
        loop {
            let response = send(&mut stream, "/api", keep_alive).map_err(|err| err.to_string())?;
            if !response.starts_with("HTTP/1.1 200") {
                return Err(response);
            }
            shared.responses.fetch_add(1, Ordering::SeqCst);
            if !keep_alive {
                break;
            }
            if response.to_lowercase().contains("connection: close") {
                shared.asked_to_close.fetch_add(1, Ordering::SeqCst);
                break;
            }
            if started.elapsed() > LIMIT {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Sends a request, and returns the complete response.
fn send(stream: &mut TcpStream, path: &str, keep_alive: bool) -> io::Result<String> {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n"
    )?;
    read_response(stream)
}

fn read_response(stream: &mut TcpStream) -> io::Result<String> {
    let mut response = Vec::new();
    let mut buffer = [0; 4096];
    // Every response here is a JSON object.
    while !response.ends_with(b"}") {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => response.extend(&buffer[..length]),
        }
    }
    Ok(String::from_utf8_lossy(&response).into_owned())
}

/// Starts a new process of a service that is built once.
fn start() -> Running {
    static SERVICE: OnceLock<(Rendered, PathBuf)> = OnceLock::new();
    let (service, binary) = SERVICE.get_or_init(|| {
        let service = Answers::new("svc")
            .with("starter", "lightweight")
            .render()
            .expect("the answers render");
        let binary = service.build().expect("it builds");
        (service, binary)
    });
    let env = [
        ("LOCO_ENV", "production"),
        ("HOST", "http://localhost"),
        ("BINDING", "localhost"),
        ("SHUTDOWN_DRAIN", "2"),
        ("SHUTDOWN_TIMEOUT", "10"),
    ];
    service.start(binary, &env).expect("it starts")
}

#[test]
fn no_request_is_lost_when_the_service_shuts_down_under_load() {
    let mut running = start();
    let load = Load::start(running.port());
    load.wait_until_busy();
    let address = SocketAddr::from(([127, 0, 0, 1], running.port()));
    let mut slow = connect(address).expect("a connection");
    slow.write_all(b"GET /api HTTP/1.1\r\n")
        .expect("half a request");

    running.signal("TERM").expect("a signal");
    let responses_before = load.responses();
    thread::sleep(Duration::from_secs(1));
    assert!(
        load.responses() > responses_before,
        "the service keeps responding"
    );
    slow.write_all(b"Host: localhost\r\n\r\n")
        .expect("the rest");
    let response = read_response(&mut slow).expect("a response");
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");

    let status = running
        .wait(Duration::from_secs(15))
        .expect("it ends in time");
    assert_eq!(status.code(), Some(0));
    let asked_to_close = load.shared.asked_to_close.load(Ordering::SeqCst);
    let failures = load.join();
    assert_eq!(failures, Vec::<String>::new(), "{} failed", failures.len());
    assert!(
        asked_to_close >= CONNECTIONS / 2,
        "{asked_to_close} were asked to close"
    );
}

#[test]
fn a_client_that_sends_half_a_request_does_not_block_the_shutdown() {
    let mut running = start();
    let mut half = connect(SocketAddr::from(([127, 0, 0, 1], running.port()))).expect("connected");
    half.write_all(b"GET /api HTTP/1.1\r\n")
        .expect("half a request");

    running.signal("TERM").expect("a signal");

    let status = running
        .wait(Duration::from_secs(20))
        .expect("it ends in time");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn the_load_notices_a_service_that_is_killed() {
    let mut running = start();
    let load = Load::start(running.port());
    load.wait_until_busy();

    running.signal("KILL").expect("a signal");

    running.wait(Duration::from_secs(10)).expect("it is gone");
    let failures = load.join();
    assert!(!failures.is_empty(), "a killed service loses requests");
}
