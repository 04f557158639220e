use std::net::SocketAddr;
{%- if memory_metrics == "true" %}
use std::path::PathBuf;
{%- endif %}

use loco_rs::{config::Config, prelude::*};
use serde::Deserialize;
use subtle::ConstantTimeEq;

/// Characters of the shortest token that is taken: shorter ones can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// `settings.memory` of `config/*.yaml`.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the listener for the people on call is bound, `address:port`. Empty: there is none.
    bind: String,
    /// What they send as `Authorization: Bearer …`. Empty: who reaches the listener is let in.
    token: String,
{%- if memory_metrics == "true" %}
    /// From how much of the cgroup's memory limit on unused pages are returned, in per cent. 0:
    /// never.
    pub guard_percent: u8,
    /// The directory of the cgroup's files, where it is not the process's own.
    pub cgroup: Option<PathBuf>,
{%- endif %}
}

/// The part of Loco's `settings` that is read here.
#[derive(Deserialize)]
struct AllSettings {
    #[serde(default)]
    memory: Settings,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// When one of them is unknown, malformed, or would open the listener to everybody.
    pub fn read(config: &Config) -> Result<Self> {
        let all: AllSettings = config
            .settings()
            .map_err(|err| Error::string(&format!("settings.memory in config/*.yaml: {err}")))?;
        all.memory.address()?;
{%- if memory_metrics == "true" %}
        if all.memory.guard_percent > 100 {
            return Err(Error::string(&format!(
                "settings.memory.guard_percent is {}: it goes from 0 (off) to 100",
                all.memory.guard_percent
            )));
        }
{%- endif %}
        Ok(all.memory)
    }
{%- if memory_metrics == "true" %}

    /// Whether there is a listener.
    #[must_use]
    pub const fn has_listener(&self) -> bool {
        !self.bind.is_empty()
    }
{%- endif %}

    /// Where the listener is bound, if there is one.
    ///
    /// # Errors
    ///
    /// When the address is malformed, or would open the listener to everybody.
    pub fn address(&self) -> Result<Option<SocketAddr>> {
        if self.bind.is_empty() {
            return Ok(None);
        }
        let Ok(address) = self.bind.parse::<SocketAddr>() else {
            return Err(Error::string(&format!(
                "settings.memory.bind is \"{}\", which is no address and port such as \
                 127.0.0.1:5151",
                self.bind
            )));
        };
        if !self.token.is_empty() && self.token.len() < SHORTEST_TOKEN {
            return Err(Error::string(&format!(
                "settings.memory.token has fewer than {SHORTEST_TOKEN} characters: make one with \
                 `openssl rand -hex 32`"
            )));
        }
        if self.token.is_empty() && !address.ip().is_loopback() {
            return Err(Error::string(&format!(
                "settings.memory.bind is {address}, which other machines reach, and \
                 settings.memory.token is empty: set a token, or bind to 127.0.0.1"
            )));
        }
        Ok(Some(address))
    }

    /// Whether who sends this value of the header `Authorization` is let in. How long the answer
    /// takes tells nothing of the token but its length.
    #[must_use]
    pub fn lets_in(&self, authorization: Option<&[u8]>) -> bool {
        if self.token.is_empty() {
            return true;
        }
        authorization
            .and_then(|value| value.strip_prefix(b"Bearer "))
            .is_some_and(|token| token.ct_eq(self.token.as_bytes()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn settings(bind: &str, token: &str) -> Settings {
        Settings {
            bind: bind.to_string(),
            token: token.to_string(),
{%- if memory_metrics == "true" %}
            ..Settings::default()
{%- endif %}
        }
    }

    fn refusal(bind: &str, token: &str) -> String {
        settings(bind, token)
            .address()
            .expect_err("it is refused")
            .to_string()
    }

    #[test]
    fn without_an_address_there_is_no_listener() {
        assert_eq!(settings("", "").address().expect("no address"), None);
    }

    #[test]
    fn other_machines_need_a_token() {
        assert!(refusal("0.0.0.0:1", "").contains("settings.memory.token is empty"));
        assert!(refusal("[::]:1", "").contains("settings.memory.token is empty"));
        assert!(settings("0.0.0.0:1", TOKEN).address().is_ok());
        assert!(settings("127.0.0.1:1", "").address().is_ok());
        assert!(settings("[::1]:1", "").address().is_ok());
    }

    #[test]
    fn a_malformed_setting_is_refused_by_name() {
        assert!(refusal("5151", "").contains("settings.memory.bind"));
        let short = refusal("127.0.0.1:1", "secret");
        assert!(
            short.contains("settings.memory.token") && !short.contains("secret"),
            "{short}"
        );
    }

    #[test]
    fn only_the_whole_token_lets_in() {
        let settings = settings("0.0.0.0:1", TOKEN);

        assert!(settings.lets_in(Some(format!("Bearer {TOKEN}").as_bytes())));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdeX",
            "Bearer 0123456789abcdef0",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
        ] {
            assert!(!settings.lets_in(Some(wrong.as_bytes())), "{wrong}");
        }
        assert!(!settings.lets_in(None));
    }
}
