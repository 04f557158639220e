use std::num::NonZeroUsize;

use loco_rs::{config::Config, Error, Result};
use serde::{Deserialize, Serialize};

/// `settings` in `config/*.yaml`: what is the service's own, and not Loco's. Groups that have no
/// field here are for others to read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Settings {
{%- if memory_profile == "lean" %}
    pub idle: Idle,
{%- endif %}
    pub requests: Requests,
    pub shutdown: Shutdown,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// When one of these groups is malformed, or has a field that it does not know.
    pub fn read(config: &Config) -> Result<Self> {
        config
            .settings()
            .map_err(|err| Error::Message(format!("settings in config/*.yaml: {err}")))
    }
}

{% if memory_profile == "lean" -%}
/// What is done when the service falls idle.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Idle {
    /// Returns unused memory.
    pub purge: bool,
}

impl Default for Idle {
    fn default() -> Self {
        Self { purge: true }
    }
}

{% endif -%}
/// How many requests are worked on at once, and what becomes of the others.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Requests {
    pub enable: bool,
    /// Requests that are worked on at once. `None`: a number for each core that the process may
    /// use.
    pub in_flight: Option<NonZeroUsize>,
    /// Requests that wait for their turn at most; any more are answered with 503.
    pub waiting: usize,
    /// Milliseconds that a request waits at most; then it is answered with 503.
    pub wait_ms: u64,
    /// Routes that are not counted, as `cargo loco routes` prints them.
    pub exempt: Vec<String>,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            enable: true,
            in_flight: None,
            waiting: 10_000,
            wait_ms: 10_000,
            exempt: Vec::new(),
        }
    }
}

/// How a web process ends after SIGTERM, in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// How long to go on serving after the signal.
    pub drain: u64,
    /// How long the last requests then have to end.
    pub timeout: u64,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            drain: 0,
            timeout: 20,
        }
    }
}
