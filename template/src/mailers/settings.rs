use loco_rs::{config::Config, prelude::*};
use serde::Deserialize;

/// `settings.mailer` in `config/*.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Who sends the service's mail, as in `Name <name@example.com>`.
    pub from: String,
}

/// The part of Loco's `settings` that is read here.
#[derive(Deserialize)]
struct AllSettings {
    mailer: Settings,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// When one of them is missing, unknown or malformed.
    pub fn read(config: &Config) -> Result<Self> {
        let all: AllSettings = config
            .settings()
            .map_err(|err| Error::string(&format!("settings.mailer in config/*.yaml: {err}")))?;
        Ok(all.mailer)
    }
}
