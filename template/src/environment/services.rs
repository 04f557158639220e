//! Rules for secrets and for the services that this one depends on.

use std::str::FromStr;

use base64::{engine::general_purpose::STANDARD, Engine};
use lettre::message::Mailbox;
use loco_rs::{config::Database, Error, Result};

use super::rules::{is_host, must_be, CheckResult};

/// Bytes of the shortest secret: the size of an HMAC-SHA-256 hash (RFC 7518, section 3.2).
const MIN_SECRET_LENGTH: usize = 32;
/// That many random bytes have at least this many distinct values.
const MIN_DISTINCT_BYTES: usize = 16;

/// A secret that is hard to guess.
pub fn secret(value: &str) -> CheckResult {
    let mut bytes = STANDARD.decode(value).unwrap_or_default();
    let length = bytes.len();
    bytes.sort_unstable();
    bytes.dedup();
    must_be(
        &format!("Base64 of at least {MIN_SECRET_LENGTH} random bytes"),
        length >= MIN_SECRET_LENGTH && bytes.len() >= MIN_DISTINCT_BYTES,
    )
}

pub fn mail_server(value: &str) -> CheckResult {
    must_be("a host name without a port", is_host(value))
}

/// A sender of emails.
pub fn mailbox(value: &str) -> CheckResult {
    must_be("an email address", Mailbox::from_str(value).is_ok())
}

/// Rejects a database that every start would empty, unless its name marks it as a test database.
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
