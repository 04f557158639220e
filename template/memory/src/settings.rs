//! This crate's part of `settings` in `config/*.yaml`. Groups without a field here belong to
//! others.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf};

use loco_rs::{config::Config, Error, Result};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// Minimum length of the token, in characters: a shorter one could be guessed.
const MIN_TOKEN_LEN: usize = 16;

/// `settings` in `config/*.yaml`. Groups and fields that are left out have their defaults.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub connections: Connections,
    pub idle: Idle,
    pub memory: Memory,
    pub requests: Requests,
    pub shutdown: Shutdown,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// If a group is malformed, has an unknown field, or would open the memory listener to
    /// everybody.
    pub fn read(config: &Config) -> Result<Self> {
        let settings: Self = config
            .settings()
            .map_err(|err| Error::Message(format!("settings in config/*.yaml: {err}")))?;
        let mut problems = settings.memory.problems();
        problems.extend(settings.connections.problem());
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(Error::Message(problems.join("\n")))
        }
    }
}

/// What to do when the service goes idle. Requires the feature `idle`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Idle {
    /// Whether to return unused memory.
    pub purge: bool,
}

impl Default for Idle {
    fn default() -> Self {
        Self { purge: true }
    }
}

/// The memory listener, and the guard against the OOM killer.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// The address to bind, as `address:port`. Empty: no listener.
    pub bind: String,
    /// What callers send as `Authorization: Bearer …`. Empty: anyone who reaches the listener may
    /// use it.
    pub token: String,
    /// How much of the memory limit requests may make the service hold, in percent. The rest is for
    /// the service itself, and for pages that are about to be returned.
    pub budget_percent: u8,
    /// The share of the cgroup's memory limit, in percent, at or above which unused pages are
    /// returned and new requests wait. 0: never.
    pub guard_percent: u8,
    /// The directory of the black box, which should outlive the process. Empty: none.
    pub black_box: String,
    /// The directory of the cgroup's files, if it is not the process's own cgroup.
    pub cgroup: Option<PathBuf>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            bind: String::new(),
            token: String::new(),
            budget_percent: 45,
            guard_percent: 80,
            black_box: String::new(),
            cgroup: None,
        }
    }
}

impl Memory {
    /// The address to bind, if there is a listener.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.bind.parse().ok()
    }

    /// Whether a caller that sends this `Authorization` header may use the listener. The time that
    /// this takes reveals nothing about the token but its length.
    #[must_use]
    pub fn authorizes(&self, authorization: Option<&[u8]>) -> bool {
        if self.token.is_empty() {
            return true;
        }
        authorization
            .and_then(|value| value.strip_prefix(b"Bearer "))
            .is_some_and(|token| token.ct_eq(self.token.as_bytes()).into())
    }

    /// What is wrong, one sentence each. None of them reveals the token.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let address = self.address();
        if address.is_none() && !self.bind.is_empty() {
            problems.push(format!(
                "settings.memory.bind is \"{}\", which is not an address with port, such as \
                 127.0.0.1:5151",
                self.bind
            ));
        }
        if !self.token.is_empty() && self.token.len() < MIN_TOKEN_LEN {
            problems.push(format!(
                "settings.memory.token has fewer than {MIN_TOKEN_LEN} characters: generate one \
                 with `openssl rand -hex 32`"
            ));
        }
        if let Some(address) = address {
            if self.token.is_empty() && !address.ip().is_loopback() {
                problems.push(format!(
                    "settings.memory.bind is {address}, which other machines can reach, but \
                     settings.memory.token is empty: set a token, or bind to 127.0.0.1"
                ));
            }
        }
        if !(1..=90).contains(&self.budget_percent) {
            problems.push(format!(
                "settings.memory.budget_percent is {}: it must be from 1 to 90",
                self.budget_percent
            ));
        }
        if self.guard_percent > 100 {
            problems.push(format!(
                "settings.memory.guard_percent is {}: it must be from 0 (off) to 100",
                self.guard_percent
            ));
        }
        problems
    }
}

/// How many connections may be open, and how long their clients may take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// The most open connections. `None`: as many as the limit of open files and half of the memory
    /// budget allow. For one more, the one that has been idle the longest is closed.
    pub max: Option<NonZeroUsize>,
    /// The most bytes of a request's head. A larger one is answered with 431.
    pub head_bytes: usize,
    /// Seconds that a request's head may take. 0: unlimited.
    pub head_timeout: u64,
    /// Bytes per second of a request's body, from its sixth second on. A slower one is cut off. 0:
    /// any rate. The default is
    /// [Kestrel's](https://learn.microsoft.com/aspnet/core/fundamentals/servers/kestrel/options#minimum-request-body-data-rate).
    pub body_rate: u64,
    /// Seconds within which a client has to take some of its response. 0: unlimited.
    pub answer_timeout: u64,
    /// Seconds that a connection may be idle. 0: unlimited. Should exceed the idle timeout of a
    /// load balancer in front (60 on AWS), so that the service is not the first to close.
    pub keep_alive: u64,
}

impl Connections {
    /// hyper's minimum.
    const MIN_HEAD_BYTES: usize = 8 << 10;

    fn problem(&self) -> Option<String> {
        (self.head_bytes < Self::MIN_HEAD_BYTES).then(|| {
            format!(
                "settings.connections.head_bytes is {}: it must be at least {}",
                self.head_bytes,
                Self::MIN_HEAD_BYTES
            )
        })
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            max: None,
            head_bytes: 16 << 10,
            head_timeout: 10,
            body_rate: 240,
            answer_timeout: 30,
            keep_alive: 75,
        }
    }
}

/// How many requests are worked on at once, and what happens to the others.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Requests {
    pub enable: bool,
    /// The most requests that are worked on at once. `None`: as many as the cores and the memory
    /// allow.
    pub in_flight: Option<NonZeroUsize>,
    /// The most requests that wait to begin. Further ones are answered with 503.
    pub waiting: usize,
    /// Milliseconds that a request may wait. It is then answered with 503.
    pub wait_ms: u64,
    /// Routes whose requests neither wait nor count, as `cargo loco routes` prints them.
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

/// How a web process shuts down after SIGTERM, in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// How long it continues to serve after the signal.
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

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn memory(bind: &str, token: &str) -> Memory {
        Memory {
            bind: bind.to_string(),
            token: token.to_string(),
            ..Memory::default()
        }
    }

    fn problems(bind: &str, token: &str) -> String {
        memory(bind, token).problems().join("\n")
    }

    #[test]
    fn without_an_address_there_is_no_listener() {
        assert_eq!(memory("", "").address(), None);
        assert_eq!(problems("", ""), "");
    }

    #[test]
    fn other_machines_need_a_token() {
        assert!(problems("0.0.0.0:1", "").contains("settings.memory.token is empty"));
        assert!(problems("[::]:1", "").contains("settings.memory.token is empty"));
        assert_eq!(problems("0.0.0.0:1", TOKEN), "");
        assert_eq!(problems("127.0.0.1:1", ""), "");
        assert_eq!(problems("[::1]:1", ""), "");
    }

    #[test]
    fn all_problems_are_reported_at_once_and_none_reveals_the_token() {
        let settings = Memory {
            budget_percent: 0,
            guard_percent: 101,
            ..memory("5151", "secret")
        };

        let problems = settings.problems().join("\n");

        for name in ["bind", "token", "budget_percent", "guard_percent"] {
            assert!(
                problems.contains(&format!("settings.memory.{name}")),
                "{problems}"
            );
        }
        assert!(!problems.contains("secret"), "{problems}");
    }

    #[test]
    fn only_the_whole_token_authorizes() {
        let settings = memory("0.0.0.0:1", TOKEN);

        assert!(settings.authorizes(Some(format!("Bearer {TOKEN}").as_bytes())));
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
            assert!(!settings.authorizes(Some(wrong.as_bytes())), "{wrong}");
        }
        assert!(!settings.authorizes(None));
    }
}
