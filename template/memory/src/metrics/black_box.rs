//! When the records in the black box were written. Includes records left by a process that was
//! killed.

use std::time::SystemTime;

use loco_rs::prelude::*;
use metrics::{describe_gauge, gauge};

use crate::black_box::BlackBox;

const NEWEST: &str = "memory_black_box_record_timestamp_seconds";

pub fn describe() {
    describe_gauge!(
        NEWEST,
        "When the newest record in the black box was written, by reason."
    );
}

pub fn read(black_box: &BlackBox) -> Result<()> {
    for record in black_box.records()? {
        let since_epoch = record.written.duration_since(SystemTime::UNIX_EPOCH);
        if let Ok(elapsed) = since_epoch {
            gauge!(NEWEST, "reason" => record.reason.name()).set(elapsed.as_secs_f64());
        }
    }
    Ok(())
}
