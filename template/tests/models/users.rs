use std::{future::Future, time::Instant};

use chrono::{Duration, Local};
use insta::assert_debug_snapshot;
use loco_rs::{db, model::ModelError, testing::prelude::*};
use rstest::rstest;
use sea_orm::{
    sea_query::Expr, ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseConnection, EntityTrait,
    IntoActiveModel, QueryFilter, SqlErr,
};
use serde_json::json;
use serial_test::serial;
use tokio::task::JoinSet;

use {{crate_name}}::{
    app::App,
    models::users::{self, users::Column, Entity, Login, LoginParams, Model, RegisterParams},
};

const PID: &str = "11111111-1111-1111-1111-111111111111";

/// A database with the users of `src/fixtures/users.yaml`.
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
#[case("Dr. J. R. R. O'Neill-Łukasz", true)]
#[case("New\n\nYour account is blocked", false)]
#[case("New\u{2028}Your account is blocked", false)]
#[case("New\u{202e}resU", false)]
#[case("New\0User", false)]
#[case("https://evil.example/", false)]
#[case("evil.example", false)]
#[tokio::test]
#[serial]
async fn a_name_is_one_line_of_at_most_100_characters_without_links(
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

#[rstest]
#[case("user1@example.com")]
#[case("USER1@Example.COM")]
#[case(" user1@example.com\n")]
#[case("<user1@example.com>")]
#[tokio::test]
#[serial]
async fn an_address_is_one_account_ignoring_case(#[case] email: &str) {
    let db = seeded().await;

    let second = Model::create_with_password(&db, &registration(email)).await;
    let found = Model::find_by_email(&db, email).await;

    assert!(matches!(second, Err(ModelError::EntityAlreadyExists)));
    assert_eq!(found.expect("the account").pid.to_string(), PID);
}

#[tokio::test]
#[serial]
async fn the_database_enforces_unique_addresses() {
    let db = seeded().await;

    let second = Entity::update_many()
        .col_expr(Column::Email, Expr::value("USER1@example.com"))
        .filter(Column::Email.eq("user2@example.com"))
        .exec(&db)
        .await;

    let err = second.expect_err("it is taken").sql_err();
    assert!(
        matches!(err, Some(SqlErr::UniqueConstraintViolation(_))),
        "{err:?}"
    );
}

#[rstest]
#[case("Jörg@Bücher.example", Some("jörg@xn--bcher-kva.example"))]
#[case("Somebody <new@example.com>", None)]
#[case("new@example.com, other@example.com", None)]
#[case("new@example.com.", None)]
#[case("new@exam ple.com", None)]
#[case("new\0@example.com", None)]
#[case("new", None)]
#[case("", None)]
#[tokio::test]
#[serial]
async fn only_addresses_that_the_mailer_accepts_are_valid(
    #[case] email: &str,
    #[case] stored: Option<&str>,
) {
    let boot = boot_test::<App>().await.expect("the service boots");

    let user = Model::create_with_password(&boot.app_context.db, &registration(email)).await;

    let user = user.map(|user| user.email);
    assert_eq!(user.as_deref().ok(), stored, "{user:?}");
}

#[rstest]
#[case("", false)]
#[case("1234567", false)]
#[case("Password1", false)]
#[case("qwertyuiop", false)]
#[case("correct horse", true)]
#[case("p".repeat(128), true)]
#[case("p".repeat(129), false)]
#[tokio::test]
#[serial]
async fn a_password_is_long_enough_and_not_common(
    #[case] password: String,
    #[case] is_valid: bool,
) {
    let db = seeded().await;
    let reset = user(&db).await.into_active_model();
    // The default settings: those of the tests are weaker.
    let mut config = boot_test::<App>()
        .await
        .expect("the service boots")
        .app_context
        .config;
    config.settings = None;
    users::configure(&config).expect("the defaults");
    let params = RegisterParams {
        password,
        ..registration("new@example.com")
    };

    let created = Model::create_with_password(&db, &params).await;
    let reset = reset.reset_password(&db, &params.password).await;

    assert_eq!(created.is_ok(), is_valid, "{created:?}");
    assert_eq!(reset.is_ok(), is_valid, "{reset:?}");
}

#[tokio::test]
#[serial]
async fn all_invalid_fields_are_reported_at_once() {
    let boot = boot_test::<App>().await.expect("the service boots");
    let invalid = RegisterParams {
        email: "no-address".to_string(),
        password: String::new(),
        name: "N".to_string(),
    };

    let result = Model::create_with_password(&boot.app_context.db, &invalid).await;

    let Err(ModelError::Validation(errors)) = result else {
        panic!("it is accepted: {result:?}")
    };
    let fields: Vec<_> = errors.errors.keys().collect();
    assert_eq!(fields, ["email", "name", "password"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
#[serial]
async fn concurrent_registrations_are_not_lost() {
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
async fn timing_does_not_reveal_whether_an_address_is_known() {
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

    // The minimum of several runs, because other load can only make a run slower.
    let known = login("user1@example.com");
    let mut hashing = std::time::Duration::MAX;
    for _ in 0..3 {
        hashing = hashing.min(time_of(Model::log_in(&db, &known)).await);
    }

    // Without hashing, these would take only a fraction of that.
    let unknown = login("nobody@example.com");
    let login = time_of(Model::log_in(&db, &unknown)).await;
    assert!(login > hashing / 4, "{login:?}, {hashing:?}");
    let taken = registration("user1@example.com");
    let registration = time_of(Model::create_with_password(&db, &taken)).await;
    assert!(registration > hashing / 4, "{registration:?}, {hashing:?}");
}

#[tokio::test]
#[serial]
async fn invalid_addresses_are_not_counted() {
    let boot = boot_test::<App>().await.expect("the service boots");
    let mut config = boot.app_context.config;
    config.settings = None;
    users::configure(&config).expect("the defaults");
    let params = LoginParams {
        email: "nobody".to_string(),
        password: "wrong".to_string(),
    };

    for _ in 0..11 {
        let login = Model::log_in(&boot.app_context.db, &params).await;
        assert!(matches!(login, Ok(Login::InvalidCredentials)));
    }
}

#[rstest]
#[case("user1@example.com")]
#[case("nobody@example.com")]
#[tokio::test]
#[serial]
async fn after_ten_wrong_passwords_an_account_is_rate_limited(#[case] email: &str) {
    let boot = boot_test::<App>().await.expect("the service boots");
    seed::<App>(&boot.app_context)
        .await
        .expect("the fixtures load");
    let db = boot.app_context.db;
    // The default settings: those of the tests have no limits.
    let mut config = boot.app_context.config;
    config.settings = None;
    users::configure(&config).expect("the defaults");
    let log_in = |email: &str, password: &str| {
        let params = LoginParams {
            email: email.to_string(),
            password: password.to_string(),
        };
        let db = db.clone();
        async move { Model::log_in(&db, &params).await.expect("it is counted") }
    };

    for _ in 0..10 {
        assert!(matches!(
            log_in(email, "wrong").await,
            Login::InvalidCredentials
        ));
    }
    let Login::RateLimited(seconds) = log_in(&email.to_uppercase(), "12341234").await else {
        panic!("an eleventh attempt is allowed")
    };

    assert!((1..=900).contains(&seconds), "{seconds}");
    let other = log_in("user2@example.com", "12341234").await;
    assert!(matches!(other, Login::User(_)), "{other:?}");
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
async fn a_change_updates_the_timestamp() {
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
async fn a_verification_token_works_once() {
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
async fn only_one_of_two_requests_with_the_same_token_succeeds() {
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
async fn a_new_password_revokes_a_magic_link() {
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
async fn a_verification_token_expires() {
    let db = seeded().await;
    let user = user(&db).await.into_active_model();
    let mut user = user
        .set_email_verification_sent(&db)
        .await
        .expect("a token is stored");
    let token = user.email_verification_token.take().expect("a token");
    let sent_at = Local::now() - Duration::hours(users::VERIFICATION_TOKEN_EXPIRATION_HOURS + 1);
    let mut user = user.into_active_model();
    user.email_verification_sent_at = ActiveValue::set(Some(sent_at.into()));
    user.update(&db).await.expect("the user is stored");

    let found = Model::find_by_verification_token(&db, &token).await;
    assert!(matches!(found, Err(ModelError::EntityNotFound)));
}

#[tokio::test]
#[serial]
async fn text_with_a_nul_is_not_found() {
    let db = seeded().await;
    let text = "a\0b";

    for found in [
        Model::find_by_email(&db, text).await,
        Model::find_by_api_key(&db, text).await,
        Model::find_by_verification_token(&db, text).await,
        Model::find_by_magic_token(&db, text).await,
        Model::find_by_reset_token(&db, text).await,
    ] {
        assert!(matches!(found, Err(ModelError::EntityNotFound)));
    }
}

#[rstest]
#[case(&[], "new@elsewhere.example", true)]
#[case(&["example.com"], "new@EXAMPLE.com", true)]
#[case(&["example.com"], "new@elsewhere.example", false)]
#[case(&["example.com"], "new@other-example.com", false)]
#[case(&[], "new", false)]
#[tokio::test]
#[serial]
async fn magic_links_are_for_everybody_or_for_the_configured_domains(
    #[case] domains: &[&str],
    #[case] email: &str,
    #[case] is_allowed: bool,
) {
    let boot = boot_test::<App>().await.expect("the service boots");
    let mut config = boot.app_context.config;
    config.settings = Some(json!({ "accounts": { "magic_link_domains": domains } }));
    users::configure(&config).expect("the settings");

    assert_eq!(users::may_use_magic_links(email), is_allowed);
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
