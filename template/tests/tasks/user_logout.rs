use loco_rs::{auth::jwt::JWT, boot::run_task, task, testing::prelude::*};
use sea_orm::IntoActiveModel;
use serial_test::serial;

use {{crate_name}}::{
    app::App,
    models::{sessions, users},
};

fn vars(email: &str) -> task::Vars {
    task::Vars::from_cli_args(vec![("email".to_string(), email.to_string())])
}

#[tokio::test]
#[serial]
async fn ends_the_sessions_and_revokes_the_links_of_one_user() {
    let boot = boot_test::<App>().await.expect("the service boots");
    let ctx = &boot.app_context;
    seed::<App>(ctx).await.expect("the fixtures load");
    let jwt = ctx.config.get_jwt_config().expect("auth is configured");
    let mut logins = Vec::new();
    for email in ["user1@example.com", "user2@example.com"] {
        let user = users::Model::find_by_email(&ctx.db, email).await;
        let user = user.expect("a fixture");
        let token = sessions::Model::begin(&ctx.db, &user, None, jwt).await;
        logins.push(token.expect("a session"));
        let with_link = user.into_active_model().create_magic_link(&ctx.db).await;
        with_link.expect("a magic link");
    }

    run_task::<App>(
        ctx,
        Some(&"user:logout".to_string()),
        &vars("User1@Example.com"),
    )
    .await
    .expect("the task runs");

    for (token, email, stays) in [
        (&logins[0], "user1@example.com", false),
        (&logins[1], "user2@example.com", true),
    ] {
        let claims = JWT::new(&jwt.secret).validate(token).expect("a JWT").claims;
        let is_active = sessions::Model::is_active(&ctx.db, &claims).await;
        assert_eq!(is_active.expect("the database works"), stays, "{email}");
        let user = users::Model::find_by_email(&ctx.db, email).await;
        let has_link = user.expect("a fixture").magic_link_token.is_some();
        assert_eq!(has_link, stays, "{email}");
    }
}

#[tokio::test]
#[serial]
async fn an_unknown_address_is_an_error() {
    let boot = boot_test::<App>().await.expect("the service boots");

    let result = run_task::<App>(
        &boot.app_context,
        Some(&"user:logout".to_string()),
        &vars("nobody@example.com"),
    )
    .await;

    assert!(result.is_err());
}
