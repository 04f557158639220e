use loco_rs::{boot::run_task, task, testing::prelude::*};
use serial_test::serial;

use {{crate_name}}::{app::App, models::users};

const PID: &str = "11111111-1111-1111-1111-111111111111";

fn vars(pid: &str) -> task::Vars {
    task::Vars::from_cli_args(vec![
        ("pid".to_string(), pid.to_string()),
        ("force".to_string(), "true".to_string()),
    ])
}

#[tokio::test]
#[serial]
async fn deletes_one_user() {
    let boot = boot_test::<App>().await.expect("the service boots");
    let ctx = &boot.app_context;
    seed::<App>(ctx).await.expect("the fixtures load");

    run_task::<App>(ctx, Some(&"user:delete".to_string()), &vars(PID))
        .await
        .expect("the task runs");

    assert!(users::Model::find_by_pid(&ctx.db, PID).await.is_err());
    assert!(users::Model::find_by_email(&ctx.db, "user2@example.com")
        .await
        .is_ok());
}

#[tokio::test]
#[serial]
async fn an_unknown_pid_is_an_error() {
    let boot = boot_test::<App>().await.expect("the service boots");

    let result = run_task::<App>(
        &boot.app_context,
        Some(&"user:delete".to_string()),
        &vars(PID),
    )
    .await;

    assert!(result.is_err());
}
