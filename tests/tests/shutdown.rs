//! Slow tier: SIGTERM while a few hundred connections ask for answers. Unix only: there are no such
//! signals elsewhere.
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
/// The longest that a load runs.
const LIMIT: Duration = Duration::from_secs(60);

/// What the load shares with the test.
#[derive(Default)]
struct Shared {
    answered: AtomicUsize,
    /// Kept connections that the service asked to go elsewhere.
    sent_away: AtomicUsize,
    not_ready: AtomicBool,
}

/// Clients behind a load balancer: each asks again as soon as it is answered, every other one on a
/// new connection each time. A connection that the service closes is opened again, unless the
/// balancer has seen by `/_readiness` that the service takes no more.
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

    fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// Waits until every client has been answered a few times on average.
    fn wait_until_busy(&self) {
        let started = Instant::now();
        while self.answered() < 5 * CONNECTIONS {
            assert!(
                started.elapsed() < LIMIT,
                "only {} answers",
                self.answered()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for all clients, and returns what went wrong.
    fn end(self) -> Vec<String> {
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
        .and_then(|mut stream| ask(&mut stream, "/_readiness", false))
        .is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Asks until the service ends. What fails once a request is sent is an error; a connection that
/// is refused is not.
fn client(address: SocketAddr, keep_alive: bool, shared: &Shared) -> Result<(), String> {
    let started = Instant::now();
    while started.elapsed() < LIMIT && !shared.not_ready.load(Ordering::SeqCst) {
        let Ok(mut stream) = connect(address) else {
            return Ok(());
        };
        loop {
            let answer = ask(&mut stream, "/api", keep_alive).map_err(|err| err.to_string())?;
            if !answer.starts_with("HTTP/1.1 200") {
                return Err(answer);
            }
            shared.answered.fetch_add(1, Ordering::SeqCst);
            if !keep_alive {
                break;
            }
            if answer.to_lowercase().contains("connection: close") {
                shared.sent_away.fetch_add(1, Ordering::SeqCst);
                break;
            }
            if started.elapsed() > LIMIT {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A request, and its complete answer.
fn ask(stream: &mut TcpStream, path: &str, keep_alive: bool) -> io::Result<String> {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n"
    )?;
    read_answer(stream)
}

fn read_answer(stream: &mut TcpStream) -> io::Result<String> {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    // Every answer here is a JSON object.
    while !answer.ends_with(b"}") {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => answer.extend(&buffer[..length]),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A new process of a service that is built once.
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
fn no_request_is_lost_when_the_service_is_asked_to_end_under_load() {
    let mut running = start();
    let load = Load::start(running.port());
    load.wait_until_busy();
    let address = SocketAddr::from(([127, 0, 0, 1], running.port()));
    let mut slow = connect(address).expect("a connection");
    slow.write_all(b"GET /api HTTP/1.1\r\n")
        .expect("half a request");

    running.signal("TERM").expect("a signal");
    let answered_before = load.answered();
    thread::sleep(Duration::from_secs(1));
    assert!(
        load.answered() > answered_before,
        "the service goes on answering"
    );
    slow.write_all(b"Host: localhost\r\n\r\n")
        .expect("the rest");
    let answer = read_answer(&mut slow).expect("its answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let status = running
        .wait(Duration::from_secs(15))
        .expect("it ends in time");
    assert_eq!(status.code(), Some(0));
    let sent_away = load.shared.sent_away.load(Ordering::SeqCst);
    let failures = load.end();
    assert_eq!(failures, Vec::<String>::new(), "{} failed", failures.len());
    assert!(sent_away >= CONNECTIONS / 2, "{sent_away} were sent away");
}

#[test]
fn a_client_that_sends_half_a_request_does_not_keep_the_service_from_ending() {
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
    let failures = load.end();
    assert!(!failures.is_empty(), "a killed service loses requests");
}
