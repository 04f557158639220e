use chrono::{Duration, Local};
use loco_rs::{boot::run_task, prelude::*, task};
use sea_orm::{ActiveModelTrait, EntityTrait};
use serial_test::serial;
use uuid::Uuid;

use {{crate_name}}::{
    app::App,
    models::{sessions, users},
};

/// Gives a user tokens, a magic link and a session dated this many hours from now.
async fn with_tokens(ctx: &AppContext, email: &str, hours: i64) {
    let user = users::Model::find_by_email(&ctx.db, email)
        .await
        .expect("the user is in the fixtures");
    let at = Local::now() + Duration::hours(hours);
    let user = users::ActiveModel {
        reset_token: Set(Some("reset".to_string())),
        reset_sent_at: Set(Some(at.into())),
        email_verification_token: Set(Some("verification".to_string())),
        email_verification_sent_at: Set(Some(at.into())),
        magic_link_token: Set(Some("magic".to_string())),
        magic_link_expiration: Set(Some(at.into())),
        ..user.into_active_model()
    }
    .update(&ctx.db)
    .await
    .expect("the user is saved");
    sessions::ActiveModel {
        pid: Set(Uuid::new_v4()),
        user_id: Set(user.id),
        expires_at: Set(at.into()),
        ..Default::default()
    }
    .insert(&ctx.db)
    .await
    .expect("the session is saved");
}

#[tokio::test]
#[serial]
async fn clears_only_what_has_expired() {
    let boot = boot_test::<App>().await.expect("the service boots");
    let ctx = &boot.app_context;
    seed::<App>(ctx).await.expect("the fixtures load");
    with_tokens(ctx, "user1@example.com", -48).await;
    with_tokens(ctx, "user2@example.com", 0).await;

    run_task::<App>(
        ctx,
        Some(&"user:clear_tokens".to_string()),
        &task::Vars::default(),
    )
    .await
    .expect("the task runs");

    let user = |email: &'static str| users::Model::find_by_email(&ctx.db, email);
    let expired = user("user1@example.com").await.expect("a user");
    assert_eq!((expired.reset_token, expired.reset_sent_at), (None, None));
    assert_eq!(expired.email_verification_token, None);
    assert_eq!(
        (expired.magic_link_token, expired.magic_link_expiration),
        (None, None)
    );
    let sessions = sessions::Entity::find().all(&ctx.db).await;
    assert_eq!(sessions.expect("sessions").len(), 1);
    let fresh = user("user2@example.com").await.expect("a user");
    assert!(fresh.reset_token.is_some() && fresh.reset_sent_at.is_some());
    assert!(fresh.email_verification_token.is_some());
    assert!(fresh.magic_link_token.is_some() && fresh.magic_link_expiration.is_some());
}
