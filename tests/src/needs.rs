//! What some tests need besides Rust and a C compiler. What is not there is said loudly, and fails
//! in CI (where `CI` is set).

use std::{env, net::TcpStream, path::Path, process::Command};

use url::Url;

pub const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

/// Whether a program is in PATH.
///
/// # Panics
///
/// When it is not, in CI.
#[must_use]
pub fn program(name: &str) -> bool {
    is_there(Command::new(name).arg("--version").output().is_ok(), name)
}

/// Whether there is such a file.
///
/// # Panics
///
/// When there is none, in CI.
#[must_use]
pub fn file(path: &str) -> bool {
    is_there(Path::new(path).exists(), path)
}

/// Whether the tests run as root.
///
/// # Panics
///
/// When they do not, in CI.
#[must_use]
pub fn root() -> bool {
    let id = Command::new("id").arg("-u").output();
    is_there(id.is_ok_and(|id| id.stdout == b"0\n"), "root")
}

/// The address of a database of PostgreSQL.
///
/// # Panics
///
/// When nobody listens there, in CI.
#[must_use]
pub fn postgres() -> Option<String> {
    server(
        "TEST_DATABASE_URL",
        "postgres://postgres@127.0.0.1:5432/test",
    )
}

/// The address of Redis.
///
/// # Panics
///
/// When nobody listens there, in CI.
#[must_use]
pub fn redis() -> Option<String> {
    server("TEST_REDIS_URL", "redis://127.0.0.1:6379")
}

fn server(variable: &str, default: &str) -> Option<String> {
    let address = env::var(variable).unwrap_or_else(|_| default.to_string());
    let url = Url::parse(&address).expect("a URL");
    let host = url.host_str().expect("a host");
    let port = url
        .port()
        .or_else(|| Url::parse(default).ok()?.port())
        .expect("a port");
    let what = format!("server on {host}:{port} ({variable})");
    is_there(TcpStream::connect((host, port)).is_ok(), &what).then_some(address)
}

pub(crate) fn is_there(found: bool, what: &str) -> bool {
    if !found {
        assert!(env::var_os("CI").is_none(), "CI has no {what}");
        eprintln!("\n\nSKIPPED: there is no {what}\n\n");
    }
    found
}
