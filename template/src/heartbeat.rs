//! A sign of life of a process that answers no requests: a file that is written again and again.

use std::{sync::Once, time::Duration};

use loco_rs::config::Config;
use serde_json::Value;
use tokio::{fs, time::sleep};

const PAUSE: Duration = Duration::from_secs(10);

/// Loco makes two contexts at a start.
static STARTED: Once = Once::new();

/// Writes the file of `settings.heartbeat`, where there is one, from now on.
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
                sleep(PAUSE).await;
            }
        });
    });
}
