use loco_rs::{boot::run_task, task, testing::prelude::*};
use serial_test::serial;

use {{crate_name}}::app::App;

#[tokio::test]
#[serial]
async fn memory_task_is_registered() {
    let boot = boot_test::<App>().await.expect("the service boots");

    run_task::<App>(
        &boot.app_context,
        Some(&"memory".to_string()),
        &task::Vars::default(),
    )
    .await
    .expect("the task runs");
}
