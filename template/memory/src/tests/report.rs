//! What `cargo loco doctor` and `cargo loco task memory` say.

use loco_rs::{boot::run_task, doctor::CheckStatus, prelude::*, task::Vars};
use serde_json::json;
use serial_test::serial;

use super::application::{context, App};
use crate::{task, MemoryInitializer};

#[tokio::test]
#[serial]
async fn the_task_reports_the_memory_of_the_process() {
    let ctx = context(json!({})).await;

    run_task::<App>(&ctx, Some(&"memory".to_string()), &Vars::default())
        .await
        .expect("the task runs");

    let report = task::report().expect("a report");
    assert!(report.starts_with("allocator   "), "{report}");
    assert!(report.contains("\nrss "), "{report}");
    // Not every kernel has them.
    if let Ok(modes) = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled") {
        let mut lines = report.lines();
        let mode = lines.find_map(|line| line.strip_prefix("huge pages  "));
        assert!(modes.contains(&format!("[{}]", mode.expect("the mode"))));
    }
}

#[tokio::test]
#[serial]
async fn the_doctor_says_what_the_report_says() {
    let ctx = context(json!({})).await;

    let check = MemoryInitializer.check(&ctx).await.expect("no error");

    let check = check.expect("a check");
    let report = task::report().expect("a report");
    let is_well = check.status == CheckStatus::Ok;
    assert_eq!(is_well, !report.contains("NOT IN EFFECT"), "{report}");
    for problem in check.description.unwrap_or_default().lines() {
        assert!(report.contains(problem), "{problem}\n{report}");
    }
}
