//! What some tests need besides Rust and a C compiler. Tests without it are skipped with a notice,
//! and fail in CI (where `CI` is set).

use std::{env, net::TcpStream, path::Path, process::Command};

use url::Url;

pub const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

/// Whether a program is in PATH.
///
/// # Panics
///
/// In CI, if it is not.
#[must_use]
pub fn program(name: &str) -> bool {
    check_available(Command::new(name).arg("--version").output().is_ok(), name)
}

/// Whether there is such a file.
///
/// # Panics
///
/// In CI, if there is none.
#[must_use]
pub fn file(path: &str) -> bool {
    check_available(Path::new(path).exists(), path)
}

/// Whether the tests run as root.
///
/// # Panics
///
/// In CI, if they do not.
#[must_use]
pub fn root() -> bool {
    check_available(is_root(), "root")
}

/// A command that runs as root, through `sudo` unless the tests are root themselves.
///
/// # Panics
///
/// In CI, if that is not possible.
#[must_use]
pub fn command_as_root(program: &str) -> Option<Command> {
    if is_root() {
        return Some(Command::new(program));
    }
    let sudo = || {
        let mut sudo = Command::new("sudo");
        sudo.arg("--non-interactive");
        sudo
    };
    let allowed = sudo().arg("true").status().is_ok_and(|ok| ok.success());
    check_available(allowed, "root").then(|| {
        let mut command = sudo();
        command.arg(program);
        command
    })
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout == b"0\n")
}

/// The URL of a PostgreSQL database.
///
/// # Panics
///
/// In CI, if nothing listens there.
#[must_use]
pub fn postgres() -> Option<String> {
    let default = "postgres://postgres@127.0.0.1:5432/test".to_string();
    let database = env::var("TEST_DATABASE_URL").unwrap_or(default);
    let url = Url::parse(&database).expect("a URL");
    let host = url.host_str().expect("a host");
    let port = url.port().unwrap_or(5432);
    let what = format!("server on {host}:{port} (TEST_DATABASE_URL)");
    check_available(TcpStream::connect((host, port)).is_ok(), &what).then_some(database)
}

/// Prints a notice if `what` is missing, and panics in CI.
pub(crate) fn check_available(found: bool, what: &str) -> bool {
    if !found {
        assert!(env::var_os("CI").is_none(), "CI has no {what}");
        eprintln!("\n\nSKIPPED: there is no {what}\n\n");
    }
    found
}
