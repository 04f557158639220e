use loco_rs::{boot::run_task, task, testing::prelude::*};
use serial_test::serial;

use {{crate_name}}::app::App;

#[tokio::test]
#[serial]
async fn reports_that_tests_have_no_queue() {
    let boot = boot_test::<App>().await.expect("the service boots");

    let err = run_task::<App>(
        &boot.app_context,
        Some(&"jobs:tidy".to_string()),
        &task::Vars::default(),
    )
    .await
    .expect_err("there is nothing to tidy");

    assert!(err.to_string().starts_with("there is no queue"), "{err}");
}
