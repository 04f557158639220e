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
    is_there(is_root(), "root")
}

/// A command that is run as root: by `sudo`, where the tests are not.
///
/// # Panics
///
/// When that is not possible, in CI.
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
    let may = sudo().arg("true").status().is_ok_and(|ok| ok.success());
    is_there(may, "root").then(|| {
        let mut command = sudo();
        command.arg(program);
        command
    })
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout == b"0\n")
}

/// The address of a database of PostgreSQL.
///
/// # Panics
///
/// When nobody listens there, in CI.
#[must_use]
pub fn postgres() -> Option<String> {
    let default = "postgres://postgres@127.0.0.1:5432/test".to_string();
    let address = env::var("TEST_DATABASE_URL").unwrap_or(default);
    let url = Url::parse(&address).expect("a URL");
    let host = url.host_str().expect("a host");
    let port = url.port().unwrap_or(5432);
    let what = format!("server on {host}:{port} (TEST_DATABASE_URL)");
    is_there(TcpStream::connect((host, port)).is_ok(), &what).then_some(address)
}

pub(crate) fn is_there(found: bool, what: &str) -> bool {
    if !found {
        assert!(env::var_os("CI").is_none(), "CI has no {what}");
        eprintln!("\n\nSKIPPED: there is no {what}\n\n");
    }
    found
}
