//! What `cargo loco doctor` and `cargo loco task memory` say.

use loco_rs::{boot::run_task, doctor::CheckStatus, prelude::*, task::Vars};
use serde_json::json;
use serial_test::serial;

use super::application::{context, App};
use crate::{profile, task, MemoryInitializer};

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

#[test]
fn the_profile_is_in_effect_where_it_is_built_in() {
    let is_whole = profile::NAME.is_some() && profile::problems().is_empty();
    let report = task::report().expect("a report");

    if is_whole {
        assert!(!report.contains("NOT IN EFFECT"), "{report}");
        for (name, value) in profile::options() {
            let line = report
                .lines()
                .find(|line| line.split_whitespace().next() == Some(name))
                .unwrap_or_else(|| panic!("{name} is not set:\n{report}"));
            let in_effect = line.split_whitespace().nth(1);
            assert!(
                in_effect == Some(value) || line.contains("(not reported)"),
                "{line}"
            );
        }
    }
}
