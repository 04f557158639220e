use std::sync::{PoisonError, RwLock};

use loco_rs::{config::Config, Error, Result};
use serde::Deserialize;

static SETTINGS: RwLock<Settings> = RwLock::new(Settings::DEFAULT);

/// `settings.accounts` in `config/*.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Minimum length of a password, in characters.
    pub password_min_length: usize,
    /// Whether to accept the most common passwords.
    pub allow_common_passwords: bool,
    /// Wrong passwords allowed per account within 15 minutes. 0: unlimited.
    pub login_attempts: i64,
    /// Registrations, logins and requests for emails allowed per client IP and minute. 0:
    /// unlimited.
    pub attempts_per_minute: i64,
    /// Whether to respond before the email is created: otherwise the response time would reveal
    /// whether the address is known.
    pub mail_after_answer: bool,
    /// Seconds before the same email is sent to a user again.
    pub mail_cooldown: i64,
    /// Whether to store only hashes of the tokens in emailed links, to require a POST to verify or
    /// log in through the API (mail scanners follow links with a GET), and to revoke on login by
    /// link whatever was done with the address before it was verified.
    pub strict_links: bool,
    /// Seconds for which a used link still works for the same person.
    pub link_repeat: i64,
    /// Domains whose addresses may log in by emailed link. Empty: all domains.
    pub magic_link_domains: Vec<String>,
}

/// The part of Loco's `settings` that this module reads.
#[derive(Default, Deserialize)]
#[serde(default)]
struct AllSettings {
    accounts: Settings,
}

impl Settings {
    const DEFAULT: Self = Self {
        password_min_length: 8,
        allow_common_passwords: false,
        login_attempts: 10,
        attempts_per_minute: 60,
        mail_after_answer: true,
        mail_cooldown: 60,
        strict_links: true,
        link_repeat: 30,
        magic_link_domains: Vec::new(),
    };
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Loads the account settings from the configuration, for the whole process.
///
/// # Errors
///
/// Returns an error if a setting is unknown or malformed.
pub fn configure(config: &Config) -> Result<()> {
    let all: AllSettings = config
        .settings()
        .map_err(|err| Error::string(&format!("settings.accounts in config/*.yaml: {err}")))?;
    *SETTINGS.write().unwrap_or_else(PoisonError::into_inner) = all.accounts;
    Ok(())
}

/// The settings in effect.
#[must_use]
pub fn settings() -> Settings {
    SETTINGS
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}
