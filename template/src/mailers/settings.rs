use loco_rs::{config::Config, prelude::*};
use serde::Deserialize;

/// `settings.mailer` in `config/*.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The sender of all emails, such as `Name <name@example.com>`.
    pub from: String,
}

/// The part of Loco's `settings` that this module reads.
#[derive(Deserialize)]
struct AllSettings {
    mailer: Settings,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is missing, unknown or malformed.
    pub fn read(config: &Config) -> Result<Self> {
        let all: AllSettings = config
            .settings()
            .map_err(|err| Error::string(&format!("settings.mailer in config/*.yaml: {err}")))?;
        Ok(all.mailer)
    }
}
