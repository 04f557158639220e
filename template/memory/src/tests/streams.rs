//! Connections that are legitimately open for long, to which none of the timeouts applies.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::json;
use serial_test::serial;

use super::{
    application::SILENCE,
    http::send,
    serve::{connect, Service},
};

/// A service whose timeouts are all shorter than the pauses of these streams.
async fn impatient() -> Service {
    Service::start(json!({
        "connections": { "answer_timeout": 1, "head_timeout": 1, "keep_alive": 1 },
    }))
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn events_come_as_they_happen() {
    let service = impatient().await;
    let mut stream = connect(service.address);
    stream
        .write_all(b"GET /events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .expect("a request");

    let mut events = Vec::new();
    for line in BufReader::new(stream).lines() {
        if line.expect("a line").starts_with("data:") {
            events.push(Instant::now());
        }
    }

    let [first, _, last] = events[..] else {
        panic!("{} events", events.len());
    };
    assert!(last.duration_since(first) >= 2 * SILENCE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_long_poll_is_answered() {
    let service = impatient().await;

    let response = send(service.address, "GET", "/poll", "", "");

    assert_eq!(response.json(), "news");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_connection_that_was_handed_over_may_be_silent() {
    let service = impatient().await;
    let mut stream = upgrade(service.address);

    for _ in 0..2 {
        tokio::time::sleep(SILENCE).await;
        stream.write_all(b"ping").expect("it is open");
        let mut echo = [0; 4];
        stream.read_exact(&mut echo).expect("it is open");
        assert_eq!(&echo, b"ping");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_connection_that_was_handed_over_counts_until_its_end() {
    let service = Service::start(json!({ "connections": { "max": 1 } })).await;
    let stream = upgrade(service.address);
    let mut next = connect(service.address);
    next.set_read_timeout(Some(Duration::from_millis(500)))
        .expect("a timeout");
    next.write_all(b"GET /posts/1 HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .expect("a request");
    assert!(next.read(&mut [0; 4]).is_err(), "there are two");

    drop(stream);
    next.set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a timeout");
    let mut status = [0; 12];
    next.read_exact(&mut status).expect("a response");
    assert_eq!(&status, b"HTTP/1.1 200");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_connection_whose_response_body_panics_is_released() {
    let service = Service::start(json!({ "connections": { "max": 1 } })).await;
    for _ in 0..2 {
        let mut stream = connect(service.address);
        stream
            .write_all(b"GET /panics HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .expect("a request");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("it is closed");
    }

    assert_eq!(send(service.address, "GET", "/posts/1", "", "").status, 200);
}

/// A connection that the service has handed over.
fn upgrade(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    stream
        .write_all(
            b"GET /echo HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
        )
        .expect("a request");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a head");
        head.extend(byte);
    }
    stream
}

/// Sends a body to a route, which reads it at its own pace.
fn upload(address: SocketAddr, path: &str, megabytes: usize) -> String {
    let mut stream = connect(address);
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        megabytes * 1_000_000
    )
    .expect("a head");
    let part = vec![b'x'; 1_000_000];
    for _ in 0..megabytes {
        stream.write_all(&part).expect("a part");
    }
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("a response");
    response
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_large_upload_arrives_where_the_route_allows_it() {
    let service = Service::start(json!({})).await;

    for path in ["/upload", "/upload/whole", "/upload/late"] {
        let response = upload(service.address, path, 50);
        assert!(response.starts_with("HTTP/1.1 200"), "{path}: {response}");
        assert!(response.ends_with("50000000"), "{path}: {response}");
    }
}
