use loco_rs::{app::AppContext, testing::prelude::*};
use serde_json::json;
use serial_test::serial;

use {{crate_name}}::mailers::{auth, language::Language};
use {{crate_name}}::{app::App, models::users};

/// What the user has typed at registration.
const NAME: &str = "Your prize: call 555-0100";

/// Every mail that there is.
async fn mails(ctx: &AppContext) -> Vec<String> {
    seed::<App>(ctx).await.expect("the fixtures load");
    let user = users::Model::find_by_email(&ctx.db, "user1@example.com")
        .await
        .expect("the user is in the fixtures");
    let user = users::Model {
        name: NAME.to_string(),
        email_verification_token: Some("token".to_string()),
        reset_token: Some("token".to_string()),
        magic_link_token: Some("token".to_string()),
        ..user
    };
    auth::AuthMailer::send_welcome(ctx, &user)
        .await
        .expect("a mail is sent");
    auth::AuthMailer::forgot_password(ctx, &user)
        .await
        .expect("a mail is sent");
    auth::AuthMailer::send_magic_link(ctx, &user)
        .await
        .expect("a mail is sent");

    let mails = ctx.mailer.as_ref().expect("a mailer").deliveries().messages;
    assert_eq!(mails.len(), 3);
    mails
}

#[tokio::test]
#[serial]
async fn mails_come_from_the_sender_in_the_settings_and_link_to_the_public_address() {
    let boot = boot_test::<App>().await.expect("the service boots");
    let mut ctx = boot.app_context;
    ctx.config.server.host = "https://public.example".to_string();
    ctx.config.settings = Some(json!({ "mailer": { "from": "Support <support@public.example>" } }));

    for mail in mails(&ctx).await {
        assert!(
            mail.contains("From: Support <support@public.example>"),
            "{mail}"
        );
        assert_eq!(mail.matches("https://public.example/").count(), 2, "{mail}");
    }
}

#[tokio::test]
#[serial]
async fn mails_say_nothing_that_a_stranger_wrote() {
    let boot = boot_test::<App>().await.expect("the service boots");

    for mail in mails(&boot.app_context).await {
        assert!(!mail.contains("prize"), "{mail}");
    }
}

#[tokio::test]
#[serial]
async fn a_subject_is_a_line_of_plain_text() {
    let boot = boot_test::<App>().await.expect("the service boots");

    let subjects: Vec<String> = mails(&boot.app_context)
        .await
        .iter()
        .filter_map(|mail| mail.lines().find_map(|line| line.strip_prefix("Subject: ")))
        .map(str::to_string)
        .collect();

    assert_eq!(
        subjects,
        [
            "Verify your email address",
            "Set a new password",
            "Your login link"
        ]
    );
}

#[tokio::test]
#[serial]
async fn a_mail_in_another_language_has_all_its_texts_in_it() {
    let boot = boot_test::<App>().await.expect("the service boots");

    for mail in Language::German.scope(mails(&boot.app_context)).await {
        assert!(mail.contains("<html lang=3D\"de\">"), "{mail}");
        assert!(!mail.contains(" link "), "{mail}");
        // An encoded line break at the end of the subject
        assert!(!mail.contains("Cg==?="), "{mail}");
    }
}
