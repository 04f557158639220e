//! A heartbeat for processes that serve no requests: a file that is rewritten periodically.

use std::{sync::Once, time::Duration};

use loco_rs::config::Config;
use serde_json::Value;
use tokio::{fs, time::sleep};

const INTERVAL: Duration = Duration::from_secs(10);

/// Loco creates two contexts on start.
static STARTED: Once = Once::new();

/// Starts writing the file named by `settings.heartbeat`, if any.
pub fn start(config: &Config) {
    let settings = config.settings.as_ref();
    let file = settings.and_then(|settings| settings.get("heartbeat"));
    let Some(file) = file.and_then(Value::as_str).filter(|file| !file.is_empty()) else {
        return;
    };
    let file = file.to_string();
    STARTED.call_once(|| {
        tokio::spawn(async move {
            loop {
                if let Err(err) = fs::write(&file, "").await {
                    tracing::error!(file, %err, "cannot write the heartbeat");
                }
                sleep(INTERVAL).await;
            }
        });
    });
}
