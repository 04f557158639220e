//! Waiting and refused requests, and slow clients, over real connections.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::{json, Value};
use serial_test::serial;
use socket2::{Domain, Socket, Type};

use super::{
    application::{HOLDING, MEETING},
    http::{send, Response},
    serve::{connect, Service},
};

fn in_background(address: SocketAddr, path: &'static str) -> JoinHandle<Response> {
    thread::spawn(move || send(address, "GET", path, "", ""))
}

fn get(address: SocketAddr, path: &str) -> Response {
    send(address, "GET", path, "", "")
}

/// The statuses of two simultaneous requests.
async fn two_at_once(settings: Value) -> Vec<u16> {
    let service = Service::start(json!({ "requests": settings })).await;
    let both = [(); 2].map(|()| in_background(service.address, "/wait"));
    let mut statuses = both.map(|one| one.join().expect("a response").status);
    statuses.sort_unstable();
    statuses.to_vec()
}

/// The response to a request, with `lines` added to its head, while another one is in progress and
/// never ends.
async fn while_one_is_held(settings: Value, lines: &str) -> Response {
    let service = Service::start(json!({ "requests": settings })).await;
    let mut held = connect(service.address);
    held.write_all(b"GET /hold HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .expect("a request");
    HOLDING.notified().await;
    send(service.address, "GET", "/posts/1", lines, "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn requests_beyond_the_queue_limit_get_503_with_retry_after() {
    let settings = json!({ "in_flight": 1, "waiting": 0 });
    let refused = while_one_is_held(settings, "").await;

    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("retry-after: 1"), "{refused:?}");
    assert_eq!(refused.json()["error"], "service_unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_request_that_may_wait_is_answered() {
    let statuses = two_at_once(json!({ "in_flight": 1, "waiting": 1 })).await;

    assert_eq!(statuses, [200, 200]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_request_that_has_waited_for_too_long_is_refused() {
    let refused = while_one_is_held(json!({ "in_flight": 1, "wait_ms": 20 }), "").await;

    assert_eq!(refused.status, 503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_browser_that_is_refused_gets_a_page() {
    let settings = json!({ "in_flight": 1, "waiting": 0 });
    let accepts = "accept: text/html,application/xhtml+xml;q=0.9\r\n";
    let refused = while_one_is_held(settings, accepts).await;

    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("text/html"), "{refused:?}");
    assert!(refused.text().contains("try again"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_route_of_the_application_can_be_exempt() {
    let settings = json!({ "in_flight": 1, "waiting": 0, "exempt": ["/wait"] });

    assert_eq!(two_at_once(settings).await, [200, 200]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn health_is_reported_while_no_request_may_begin() {
    let service = Service::start(json!({ "requests": { "in_flight": 1, "waiting": 0 } })).await;
    let mut held = connect(service.address);
    held.write_all(b"GET /hold HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .expect("a request");
    HOLDING.notified().await;

    for health in ["/_ping", "/_health", "/_readiness"] {
        assert_eq!(get(service.address, health).status, 200, "{health}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn requests_that_wait_for_something_keep_nobody_waiting() {
    let service = Service::start(json!({})).await;

    // Each waits for all others, which are far more than there are cores.
    let meeting: Vec<_> = (0..MEETING)
        .map(|_| in_background(service.address, "/meet"))
        .collect();

    for one in meeting {
        assert_eq!(one.join().expect("a response").status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_body_that_is_slow_to_come_keeps_nobody_waiting() {
    let service = Service::start(json!({ "requests": { "in_flight": 1, "waiting": 0 } })).await;
    let mut slow = connect(service.address);
    slow.write_all(
        b"POST /length HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 8\r\n\r\nhalf",
    )
    .expect("half a body");
    thread::sleep(Duration::from_millis(100));

    assert_eq!(get(service.address, "/posts/1").status, 200);

    slow.write_all(b"half").expect("the other half");
    let mut response = String::new();
    slow.read_to_string(&mut response).expect("a response");
    assert!(
        response.starts_with("HTTP/1.1 200") && response.ends_with('8'),
        "{response}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn bodies_arrive_whole_whatever_their_length() {
    let service = Service::start(json!({})).await;

    for length in [0, 1, 70_000, 2_000_000] {
        let response = send(service.address, "POST", "/length", "", &"x".repeat(length));
        assert_eq!(response.json(), length, "{:?}", response.head);
    }
    let chunks = format!("2710\r\n{}\r\n", "x".repeat(10_000)).repeat(10);
    let mut stream = connect(service.address);
    write!(
        stream,
        "POST /length HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
    )
    .expect("a body in chunks");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("a response");
    assert!(response.ends_with("100000"), "{response}");
    // Loco's own payload limit still applies.
    let refused = send(
        service.address,
        "POST",
        "/length",
        "",
        &"x".repeat(2_000_001),
    );
    assert_eq!(refused.status, 413);
}

/// Whether the service closes the connection before the client gives up.
fn is_closed(mut stream: &TcpStream) -> bool {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).map_or_else(
        |err| err.kind() == std::io::ErrorKind::ConnectionReset,
        |_| true,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_head_or_a_body_that_does_not_come_is_cut_off() {
    let service = Service::start(json!({ "connections": { "head_timeout": 1 } })).await;
    let mut head = connect(service.address);
    head.write_all(b"GET / HTTP/1.1\r\n").expect("half a head");
    let mut body = connect(service.address);
    body.write_all(b"POST /length HTTP/1.1\r\nhost: localhost\r\ncontent-length: 8\r\n\r\nhalf")
        .expect("half a body");
    let waiting = in_background(service.address, "/_ping");

    assert!(is_closed(&head));
    assert!(is_closed(&body));
    assert_eq!(waiting.join().expect("a response").status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_head_that_is_too_large_is_refused() {
    let service = Service::start(json!({ "connections": { "head_bytes": 8192 } })).await;

    let cookie = format!("cookie: {}\r\n", "x".repeat(10_000));
    let response = send(service.address, "GET", "/_ping", &cookie, "");

    assert_eq!(response.status, 431);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_client_that_is_still_sending_gets_the_response() {
    let service = Service::start(json!({})).await;
    let body = "x".repeat(3 << 20);

    for _ in 0..20 {
        let response = send(service.address, "POST", "/nowhere", "", &body);
        assert_eq!(response.status, 404);

        let cookie = format!("cookie: {}\r\n", "x".repeat(300_000));
        let response = send(service.address, "GET", "/_ping", &cookie, "");
        assert_eq!(response.status, 431);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn at_the_connection_limit_the_longest_idle_one_is_closed() {
    let service = Service::start(json!({ "connections": { "max": 2 } })).await;
    let first = connect(service.address);
    thread::sleep(Duration::from_millis(600));
    let second = connect(service.address);
    thread::sleep(Duration::from_millis(600));

    assert_eq!(get(service.address, "/_ping").status, 200);

    assert!(is_closed(&first));
    drop(second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_client_that_stops_reading_is_cut_off() {
    let service = Service::start(json!({ "connections": { "answer_timeout": 1 } })).await;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket
        .set_recv_buffer_size(4096)
        .expect("room for little of it");
    socket.connect(&service.address.into()).expect("it listens");
    let mut client = TcpStream::from(socket);
    client
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a timeout");
    client
        .write_all(b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .expect("a request");
    for _ in 0..2 {
        thread::sleep(Duration::from_millis(600));
        client.read_exact(&mut [0; 8000]).expect("some of it");
    }

    // What was taken at first counts for five seconds.
    thread::sleep(Duration::from_secs(9));

    let rest = client.read_to_end(&mut Vec::new());
    assert_eq!(
        rest.map_err(|err| err.kind()),
        Err(std::io::ErrorKind::ConnectionReset)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn bodies_that_are_just_fast_enough_make_room_for_others() {
    let service = Service::start(json!({ "connections": { "max": 2 } })).await;
    let address = service.address;
    let slow = [(); 2].map(|()| {
        let mut stream = connect(address);
        stream
            .write_all(
                b"POST /length HTTP/1.1\r\nhost: localhost\r\ncontent-length: 999999\r\n\r\n",
            )
            .expect("a head");
        thread::spawn(move || {
            while stream.write_all(&[b'x'; 50]).is_ok() {
                thread::sleep(Duration::from_millis(100));
            }
        })
    });
    thread::sleep(Duration::from_millis(200));

    assert_eq!(get(address, "/posts/1").status, 200);
    drop(slow);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn slow_readers_make_room_for_others() {
    let folder = std::env::temp_dir().join(format!("slow-readers-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a directory");
    for (file, text) in [
        ("memory.current", "0\n"),
        ("memory.max", "50000000\n"),
        ("memory.stat", ""),
    ] {
        fs::write(folder.join(file), text).expect("a file");
    }
    let service = Service::start(json!({ "memory": { "cgroup": folder } })).await;

    // 22 MB have room for four of them.
    let slow: Vec<TcpStream> = (0..12)
        .map(|_| {
            let mut stream = connect(service.address);
            stream
                .write_all(b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n")
                .expect("a request");
            stream
        })
        .collect();
    thread::sleep(Duration::from_millis(300));

    assert_eq!(
        get(service.address, "/posts/1").status,
        200,
        "a small one fits"
    );
    let large = get(service.address, "/large");
    assert_eq!(large.body.len(), 4 << 20);
    drop(slow);
}
