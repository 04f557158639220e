use std::{future::Future, time::Instant};

use chrono::{Duration, Local};
use insta::assert_debug_snapshot;
use loco_rs::{db, model::ModelError, testing::prelude::*};
use rstest::rstest;
use sea_orm::{ActiveModelTrait, ActiveValue, DatabaseConnection, IntoActiveModel};
use serial_test::serial;
use tokio::task::JoinSet;

use {{crate_name}}::{
    app::App,
    models::users::{self, LoginParams, Model, RegisterParams},
};

const PID: &str = "11111111-1111-1111-1111-111111111111";

/// A service with the users of `src/fixtures/users.yaml`.
async fn seeded() -> DatabaseConnection {
    let boot = boot_test::<App>().await.expect("the service boots");
    seed::<App>(&boot.app_context)
        .await
        .expect("the fixtures load");
    boot.app_context.db
}

async fn user(db: &DatabaseConnection) -> Model {
    Model::find_by_pid(db, PID).await.expect("a seeded user")
}

fn registration(email: &str) -> RegisterParams {
    RegisterParams {
        email: email.to_string(),
        password: "12341234".to_string(),
        name: "New User".to_string(),
    }
}

#[tokio::test]
#[serial]
async fn an_invalid_user_is_not_saved() {
    let boot = boot_test::<App>().await.expect("the service boots");
    let invalid = users::ActiveModel {
        name: ActiveValue::set("1".to_string()),
        email: ActiveValue::set("no-address".to_string()),
        ..Default::default()
    };

    assert_debug_snapshot!(invalid.insert(&boot.app_context.db).await, @r#"
    Err(
        Custom(
            "{\"email\":[{\"code\":\"email\",\"message\":\"invalid email\"}],\"name\":[{\"code\":\"length\",\"message\":\"Name must be at least 2 characters long.\"}]}",
        ),
    )
    "#);
}

#[rstest]
#[case("N".repeat(100), true)]
#[case("N".repeat(101), false)]
#[case("New\n\nYour account is blocked", false)]
#[tokio::test]
#[serial]
async fn a_name_is_a_line_of_no_more_than_100_characters(
    #[case] name: String,
    #[case] is_valid: bool,
) {
    let boot = boot_test::<App>().await.expect("the service boots");
    let params = RegisterParams {
        name,
        ..registration("new@example.com")
    };

    let result = Model::create_with_password(&boot.app_context.db, &params).await;

    assert_eq!(result.is_ok(), is_valid, "{result:?}");
}

#[tokio::test]
#[serial]
async fn a_new_user_has_a_hashed_password_and_keys() {
    let boot = boot_test::<App>().await.expect("the service boots");

    let user = Model::create_with_password(&boot.app_context.db, &registration("new@example.com"))
        .await
        .expect("the user is created");

    assert!(user.password.starts_with("$argon2id$"));
    assert!(user.verify_password("12341234"));
    assert!(user.api_key.starts_with("lo-"));
    assert!(user.email_verified_at.is_none());
}

#[tokio::test]
#[serial]
async fn an_address_is_taken_once() {
    let db = seeded().await;

    let result = Model::create_with_password(&db, &registration("user1@example.com")).await;

    assert_debug_snapshot!(result, @r"
    Err(
        EntityAlreadyExists,
    )
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
#[serial]
async fn of_registrations_at_the_same_time_none_is_lost() {
    let boot = boot_test::<App>().await.expect("the service boots");
    let mut config = boot.app_context.config.database.clone();
    config.max_connections = 3;
    config.connect_timeout = 10_000;
    let db = db::connect(&config).await.expect("several connections");

    let mut registrations = JoinSet::new();
    for email in ["new1@example.com", "new2@example.com", "new2@example.com"] {
        let db = db.clone();
        registrations.spawn(async move {
            let params = registration(email);
            Model::create_with_password(&db, &params).await
        });
    }
    let mut created = 0;
    for result in registrations.join_all().await {
        match result {
            Ok(_) => created += 1,
            Err(err) => assert!(matches!(err, ModelError::EntityAlreadyExists), "{err}"),
        }
    }

    assert_eq!(created, 2);
}

#[tokio::test]
#[serial]
async fn the_time_does_not_tell_whether_an_address_is_known() {
    async fn time_of(work: impl Future + Send) -> std::time::Duration {
        let start = Instant::now();
        work.await;
        start.elapsed()
    }
    let db = seeded().await;
    let login = |email: &str| LoginParams {
        email: email.to_string(),
        password: "wrong".to_string(),
    };

    // The shortest of several, as other work of the machine only makes one longer.
    let known = login("user1@example.com");
    let mut hashing = std::time::Duration::MAX;
    for _ in 0..3 {
        hashing = hashing.min(time_of(Model::find_by_login(&db, &known)).await);
    }

    // Without a hash they would take a small part of that.
    let unknown = login("nobody@example.com");
    let login = time_of(Model::find_by_login(&db, &unknown)).await;
    assert!(login > hashing / 4, "{login:?}, {hashing:?}");
    let taken = registration("user1@example.com");
    let registration = time_of(Model::create_with_password(&db, &taken)).await;
    assert!(registration > hashing / 4, "{registration:?}, {hashing:?}");
}

#[tokio::test]
#[serial]
async fn users_are_found_by_their_keys() {
    let db = seeded().await;
    let user = user(&db).await;

    let by_email = Model::find_by_email(&db, "user1@example.com").await;
    assert_eq!(by_email.expect("by email"), user);
    let by_api_key = Model::find_by_api_key(&db, &user.api_key).await;
    assert_eq!(by_api_key.expect("by API key"), user);
    assert_debug_snapshot!(Model::find_by_email(&db, "nobody@example.com").await, @r"
    Err(
        EntityNotFound,
    )
    ");
}

#[tokio::test]
#[serial]
async fn a_change_has_its_time() {
    let db = seeded().await;
    let user = user(&db).await;
    let before = user.updated_at;

    let changed = user
        .into_active_model()
        .set_forgot_password_sent(&db)
        .await
        .expect("a token is stored");

    assert!(changed.updated_at > before, "{}", changed.updated_at);
}

#[tokio::test]
#[serial]
async fn a_verification_token_is_used_once() {
    let db = seeded().await;

    let sent = user(&db).await.into_active_model();
    let user = sent
        .set_email_verification_sent(&db)
        .await
        .expect("a token is stored");
    let token = user.email_verification_token.clone().expect("a token");
    assert!(user.email_verification_sent_at.is_some());

    let found = Model::find_by_verification_token(&db, &token)
        .await
        .expect("the token is known");
    let verified = found
        .into_active_model()
        .verified(&db)
        .await
        .expect("the user is verified");
    assert!(verified.email_verified_at.is_some());
    assert!(Model::find_by_verification_token(&db, &token)
        .await
        .is_err());
}

#[tokio::test]
#[serial]
async fn of_two_requests_with_one_token_the_second_finds_it_used_up() {
    let db = seeded().await;
    let found = user(&db).await.into_active_model();
    let found = found
        .set_email_verification_sent(&db)
        .await
        .expect("a token");
    let found = found.into_active_model();
    let found = found.set_forgot_password_sent(&db).await.expect("a token");
    let found = found.into_active_model();
    let found = found.create_magic_link(&db).await.expect("a token");
    let user = || found.clone().into_active_model();

    user().verified(&db).await.expect("verified");
    let again = user().verified(&db).await;
    assert!(matches!(again, Err(ModelError::EntityNotFound)));

    user().clear_magic_link(&db).await.expect("used up");
    let again = user().clear_magic_link(&db).await;
    assert!(matches!(again, Err(ModelError::EntityNotFound)));

    user().reset_password(&db, "first").await.expect("set");
    let again = user().reset_password(&db, "second").await;
    assert!(matches!(again, Err(ModelError::EntityNotFound)));
    let user = Model::find_by_pid(&db, PID).await.expect("the user");
    assert!(user.verify_password("first"));
}

#[tokio::test]
#[serial]
async fn a_reset_token_sets_the_password_once() {
    let db = seeded().await;

    let user = user(&db).await.into_active_model();
    let user = user
        .set_forgot_password_sent(&db)
        .await
        .expect("a token is stored");
    let token = user.reset_token.clone().expect("a token");

    let found = Model::find_by_reset_token(&db, &token)
        .await
        .expect("the token is known");
    let reset = found
        .into_active_model()
        .reset_password(&db, "another one")
        .await
        .expect("the password is set");
    assert!(reset.verify_password("another one"));
    assert!(!reset.verify_password("12341234"));
    assert!(Model::find_by_reset_token(&db, &token).await.is_err());
}

#[tokio::test]
#[serial]
async fn a_new_password_ends_a_magic_link() {
    let db = seeded().await;
    let user = user(&db).await.into_active_model();
    let user = user.create_magic_link(&db).await.expect("a link is stored");
    let token = user.magic_link_token.clone().expect("a token");

    user.into_active_model()
        .reset_password(&db, "another one")
        .await
        .expect("the password is set");

    assert!(Model::find_by_magic_token(&db, &token).await.is_err());
}

#[tokio::test]
#[serial]
async fn a_reset_token_expires() {
    let db = seeded().await;
    let mut user = user(&db).await.into_active_model();
    let sent_at = Local::now() - Duration::minutes(users::RESET_TOKEN_EXPIRATION_MIN + 1);
    user.reset_token = ActiveValue::set(Some("token".to_string()));
    user.reset_sent_at = ActiveValue::set(Some(sent_at.into()));
    user.update(&db).await.expect("the user is stored");

    let found = Model::find_by_reset_token(&db, "token").await;
    assert!(matches!(found, Err(ModelError::EntityNotFound)));
}

#[tokio::test]
#[serial]
async fn a_magic_link_logs_in_once() {
    let db = seeded().await;

    let user = user(&db).await.into_active_model();
    let user = user.create_magic_link(&db).await.expect("a link is stored");
    let token = user.magic_link_token.clone().expect("a token");
    assert_eq!(
        token.len(),
        usize::from(users::MAGIC_LINK_LENGTH.unsigned_abs())
    );

    let found = Model::find_by_magic_token(&db, &token)
        .await
        .expect("the link is known");
    found
        .into_active_model()
        .clear_magic_link(&db)
        .await
        .expect("the link is used up");
    assert!(Model::find_by_magic_token(&db, &token).await.is_err());
}

#[tokio::test]
#[serial]
async fn a_magic_link_expires() {
    let db = seeded().await;
    let mut user = user(&db).await.into_active_model();
    user.magic_link_token = ActiveValue::set(Some("token".to_string()));
    user.magic_link_expiration =
        ActiveValue::set(Some((Local::now() - Duration::minutes(1)).into()));
    user.update(&db).await.expect("the user is stored");

    let found = Model::find_by_magic_token(&db, "token").await;
    assert!(matches!(found, Err(ModelError::EntityNotFound)));
}
