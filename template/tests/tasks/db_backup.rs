use loco_rs::{boot::run_task, task, testing::prelude::*};
use sea_orm::Database;
use serial_test::serial;

use {{crate_name}}::{app::App, models::users};

#[tokio::test]
#[serial]
async fn a_backup_contains_the_data() {
    let boot = boot_test::<App>().await.expect("the service boots");
    let ctx = &boot.app_context;
    seed::<App>(ctx).await.expect("the fixtures load");
    let name = format!("backup-{}.sqlite", std::process::id());
    let file = std::env::temp_dir().join(name);
    let vars = task::Vars::from_cli_args(vec![(
        "file".to_string(),
        file.to_str().expect("a path").to_string(),
    )]);

    run_task::<App>(ctx, Some(&"db:backup".to_string()), &vars)
        .await
        .expect("the task runs");
    let again = run_task::<App>(ctx, Some(&"db:backup".to_string()), &vars).await;
    let backup = Database::connect(format!("sqlite://{}", file.display()))
        .await
        .expect("the backup opens");
    let user = users::Model::find_by_email(&backup, "user1@example.com").await;
    std::fs::remove_file(&file).expect("the backup is a file");

    assert!(user.is_ok());
    assert!(again.is_err(), "an existing backup is overwritten");
}
