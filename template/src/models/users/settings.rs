use std::sync::{PoisonError, RwLock};

use loco_rs::{config::Config, Error, Result};
use serde::Deserialize;

static SETTINGS: RwLock<Settings> = RwLock::new(Settings::DEFAULT);

/// `settings.accounts` in `config/*.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Characters of the shortest password.
    pub password_min_length: usize,
    /// Whether a password may be one of the most common ones.
    pub allow_common_passwords: bool,
    /// Wrong passwords for an account within 15 minutes, before the next one has to wait. 0: any number.
    pub login_attempts: i64,
    /// Registrations, logins and requests for mails of a client's address in a minute. 0: any number.
    pub attempts_per_minute: i64,
    /// Whether a client has its answer before the mail is made: waiting for it would tell that the
    /// address is known.
    pub mail_after_answer: bool,
    /// Seconds for which a user is not mailed the same again.
    pub mail_cooldown: i64,
    /// Whether only hashes of the tokens in mailed links are stored, a GET of the API neither verifies nor
    /// logs in (programs that scan mails send one), and a login by link voids what was done with the
    /// address before it was verified.
    pub strict_links: bool,
    /// Seconds in which a used link still works for the same person.
    pub link_repeat: i64,
    /// The domains whose addresses may log in by a mailed link. Empty: all of them.
    pub magic_link_domains: Vec<String>,
}

/// The part of Loco's `settings` that is read here.
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

/// Takes the rules for users from the configuration, for the whole process.
///
/// # Errors
///
/// When one of them is unknown or malformed.
pub fn configure(config: &Config) -> Result<()> {
    let all: AllSettings = config
        .settings()
        .map_err(|err| Error::string(&format!("settings.accounts in config/*.yaml: {err}")))?;
    *SETTINGS.write().unwrap_or_else(PoisonError::into_inner) = all.accounts;
    Ok(())
}

/// The rules in effect.
#[must_use]
pub fn settings() -> Settings {
    SETTINGS
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}
