use loco_rs::{boot::run_task, config::WorkerMode, task, testing::prelude::*};
use rstest::rstest;
use serial_test::serial;

use {{crate_name}}::{app::App, models::users};

fn vars(email: &str) -> task::Vars {
    task::Vars::from_cli_args(vec![
        ("email".to_string(), email.to_string()),
        ("name".to_string(), "New User".to_string()),
        ("password".to_string(), "12341234".to_string()),
    ])
}

#[tokio::test]
#[serial]
async fn creates_a_user_and_sends_the_verification_email() {
    let boot = boot_test::<App>().await.expect("the service boots");
    let ctx = &boot.app_context;

    run_task::<App>(
        ctx,
        Some(&"user:create".to_string()),
        &vars("new@example.com"),
    )
    .await
    .expect("the task runs");

    let user = users::Model::find_by_email(&ctx.db, "new@example.com")
        .await
        .expect("the user is stored");
    assert!(user.email_verification_token.is_some());
    assert_eq!(ctx.mailer.as_ref().expect("a mailer").deliveries().count, 1);
}

#[tokio::test]
#[serial]
async fn sends_the_email_before_it_ends() {
    let boot = boot_test::<App>().await.expect("the service boots");
    let mut ctx = boot.app_context;
    ctx.config.workers.mode = WorkerMode::BackgroundAsync;

    run_task::<App>(
        &ctx,
        Some(&"user:create".to_string()),
        &vars("new@example.com"),
    )
    .await
    .expect("the task runs");

    assert_eq!(ctx.mailer.as_ref().expect("a mailer").deliveries().count, 1);
}

#[tokio::test]
#[serial]
async fn rejects_a_known_address() {
    let boot = boot_test::<App>().await.expect("the service boots");
    let ctx = &boot.app_context;
    seed::<App>(ctx).await.expect("the fixtures load");

    let err = run_task::<App>(
        ctx,
        Some(&"user:create".to_string()),
        &vars("user1@example.com"),
    )
    .await
    .expect_err("the address is taken");

    assert_eq!(
        err.to_string(),
        "Failed to create user. err: Entity already exists"
    );
    assert_eq!(ctx.mailer.as_ref().expect("a mailer").deliveries().count, 0);
}

#[tokio::test]
#[serial]
async fn reports_invalid_fields() {
    let boot = boot_test::<App>().await.expect("the service boots");

    let err = run_task::<App>(
        &boot.app_context,
        Some(&"user:create".to_string()),
        &vars("no-address"),
    )
    .await
    .expect_err("the address is not valid");

    assert_eq!(err.to_string(), "Failed to create user. err: invalid email");
}

#[rstest]
#[case("email")]
#[case("name")]
#[case("password")]
#[tokio::test]
#[serial]
async fn reports_a_missing_argument(#[case] missing: &str) {
    let boot = boot_test::<App>().await.expect("the service boots");
    let mut vars = vars("new@example.com");
    vars.cli.remove(missing);

    let err = run_task::<App>(&boot.app_context, Some(&"user:create".to_string()), &vars)
        .await
        .expect_err("an argument is missing");

    assert_eq!(err.to_string(), format!("{missing} is mandatory"));
}
