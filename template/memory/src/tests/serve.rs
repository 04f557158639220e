//! Serving, and what happens to requests during shutdown, over real connections.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use axum::{
    http::{
        header::{CONNECTION, UPGRADE},
        StatusCode,
    },
    routing::get,
};
use loco_rs::boot::ServeParams;
use serde_json::json;
use serial_test::serial;
use tokio::{sync::oneshot, task::JoinHandle};

use super::{
    application::{context, router, App},
    http::free_address,
};
use crate::{serve_until, Settings};

/// The application with certain settings, on a free port.
pub struct Service {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<loco_rs::Result<()>>,
}

impl Service {
    /// Starts the service, and waits until it listens.
    pub async fn start(settings: serde_json::Value) -> Self {
        let ctx = context(settings).await;
        let upgraded = (
            StatusCode::SWITCHING_PROTOCOLS,
            [(CONNECTION, "upgrade"), (UPGRADE, "test")],
        );
        let router = router(&ctx).route("/upgrade", get(move || async move { upgraded }));
        let address = free_address();
        let params = ServeParams {
            port: address.port().into(),
            binding: "127.0.0.1".to_string(),
        };
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(async move {
            let signal = async { stopped.await.unwrap_or_default() };
            serve_until::<App>(router, &ctx, &params, signal).await
        });
        let service = Self {
            address,
            stop,
            ended,
        };
        while TcpStream::connect(address).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        service
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    let timeout = Some(Duration::from_secs(10));
    stream.set_read_timeout(timeout).expect("a timeout");
    stream
}

/// The result with which the service ends.
async fn end(ended: JoinHandle<loco_rs::Result<()>>) -> loco_rs::Result<()> {
    tokio::time::timeout(Duration::from_secs(15), ended)
        .await
        .expect("the service ends in time")
        .expect("no panic")
}

/// Requests a path on an open connection, and reads up to the end of the JSON in the response.
fn send(mut stream: &TcpStream, path: &str) -> String {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request is sent");
    let mut response = Vec::new();
    let mut buffer = [0; 1024];
    while !response.ends_with(b"}") {
        let length = stream.read(&mut buffer).expect("a response");
        assert_ne!(length, 0, "cut off after {response:?}");
        response.extend(&buffer[..length]);
    }
    String::from_utf8_lossy(&response).to_lowercase()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn open_connections_are_served_and_told_to_close_while_draining() {
    let service = Service::start(json!({ "shutdown": { "drain": 2 } })).await;
    let stream = connect(service.address);
    let ready = send(&stream, "/_readiness");
    assert!(ready.starts_with("http/1.1 200"), "{ready}");
    assert!(!ready.contains("connection: close"), "{ready}");

    service.stop.send(()).expect("the service runs");
    tokio::time::sleep(Duration::from_millis(500)).await;

    let response = send(&stream, "/_ping");
    assert!(response.starts_with("http/1.1 200"), "{response}");
    assert!(response.contains("connection: close"), "{response}");
    let not_ready = send(&connect(service.address), "/_readiness");
    assert!(not_ready.starts_with("http/1.1 503"), "{not_ready}");
    end(service.ended).await.expect("the service ends well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_connection_can_still_be_upgraded_while_draining() {
    let service = Service::start(json!({ "shutdown": { "drain": 2 } })).await;
    let mut stream = connect(service.address);

    service.stop.send(()).expect("the service runs");
    tokio::time::sleep(Duration::from_millis(500)).await;

    stream
        .write_all(
            b"GET /upgrade HTTP/1.1\r\nHost: localhost\r\n\
              Connection: upgrade\r\nUpgrade: test\r\n\r\n",
        )
        .expect("a request is sent");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("a response");
    let response = response.to_lowercase();
    assert!(response.starts_with("http/1.1 101"), "{response}");
    assert!(response.contains("connection: upgrade"), "{response}");
    end(service.ended).await.expect("the service ends well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[serial]
async fn a_request_that_never_ends_does_not_keep_the_service_from_ending() {
    let service = Service::start(json!({ "shutdown": { "timeout": 1 } })).await;
    let mut stream = connect(service.address);
    stream
        .write_all(b"GET /_ping HTTP/1.1\r\n")
        .expect("half a request");
    tokio::time::sleep(Duration::from_millis(200)).await;

    service.stop.send(()).expect("the service runs");

    end(service.ended).await.expect("the service ends well");
}

#[tokio::test]
async fn a_setting_that_does_not_exist_is_named() {
    let ctx = context(json!({ "shutdown": { "drian": 2 } })).await;

    let err = Settings::read(&ctx.config).err().expect("a typo");

    assert!(
        err.to_string()
            .contains("settings in config/*.yaml: unknown field `drian`"),
        "{err}"
    );
}
