use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use uuid::Uuid;

use crate::models::{sessions, users};

/// The account, as its owner sees it.
#[derive(Debug, Deserialize, Serialize, TS{{to_schema}})]
pub struct AccountResponse {
    pub name: String,
    pub email: String,
    pub is_verified: bool,
}

impl AccountResponse {
    #[must_use]
    pub fn new(user: &users::Model) -> Self {
        Self {
            name: user.name.clone(),
            email: user.email.clone(),
            is_verified: user.email_verified_at.is_some(),
        }
    }
}

/// A session of the user.
#[derive(Debug, Deserialize, Serialize, TS{{to_schema}})]
pub struct SessionResponse {
    #[ts(type = "string")]
    pub pid: Uuid,
    /// The browser and operating system, such as `Firefox, Linux`.
    pub browser: String,
    pub created_at: DateTime<FixedOffset>,
    /// Whether the request belongs to this session.
    pub is_current: bool,
}

impl SessionResponse {
    #[must_use]
    pub fn new(session: &sessions::Model, current: Option<Uuid>) -> Self {
        Self {
            pid: session.pid,
            browser: browser(session.user_agent.as_deref().unwrap_or_default()),
            created_at: session.created_at,
            is_current: current == Some(session.pid),
        }
    }
}

/// Derives a readable name from the user agent.
fn browser(user_agent: &str) -> String {
    // Many browsers also name others, so the first match wins.
    let browsers = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    let systems = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let name = |names: &[(&str, &'static str)]| {
        names
            .iter()
            .find(|(sign, _)| user_agent.contains(sign))
            .map(|(_, name)| *name)
    };
    match (name(&browsers), name(&systems)) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        _ => user_agent.chars().take(40).collect(),
    }
}
