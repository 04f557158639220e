//! What the addresses and secrets of other services must be.

use std::str::FromStr;

use base64::{engine::general_purpose::STANDARD, Engine};
use lettre::message::Mailbox;
use loco_rs::{config::Database, Error, Result};

use super::rules::{is_host, must_be, Checked};

/// Bytes of the shortest secret: as many as the hash of HMAC with SHA-256 has (RFC 7518, 3.2).
const SECRET_LENGTH: usize = 32;
/// So many random bytes have more different ones than this.
const DIFFERENT_BYTES: usize = 16;

/// A secret that nobody can guess.
pub fn secret(value: &str) -> Checked {
    let mut bytes = STANDARD.decode(value).unwrap_or_default();
    let length = bytes.len();
    bytes.sort_unstable();
    bytes.dedup();
    must_be(
        &format!("Base64 of at least {SECRET_LENGTH} random bytes"),
        length >= SECRET_LENGTH && bytes.len() >= DIFFERENT_BYTES,
    )
}

pub fn mail_server(value: &str) -> Checked {
    must_be("a host name without a port", is_host(value))
}

/// Who sends mails.
pub fn mailbox(value: &str) -> Checked {
    must_be("a mail address", Mailbox::from_str(value).is_ok())
}

/// Refuses a database that each start empties, unless its name says that it is there for tests.
pub fn ensure_disposable(database: &Database) -> Result<()> {
    let path = database.uri.split('?').next().unwrap_or_default();
    let name = path.rsplit(['/', ':']).next().unwrap_or_default();
    let is_emptied = database.dangerously_recreate || database.dangerously_truncate;
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    if is_emptied && !path.contains(":memory:") && !words.any(|word| word == "test") {
        return Err(Error::string(&format!(
            "`{name}` would be emptied: TEST_DATABASE_URL must name a database with `test` in its name"
        )));
    }
    Ok(())
}
