use loco_rs::{app::AppContext, testing::prelude::*};
use serde_json::json;
use serial_test::serial;

use {{crate_name}}::mailers::{auth, language::Language};
use {{crate_name}}::{app::App, models::users};

/// What the user entered at registration.
const NAME: &str = "Your prize: call 555-0100";

/// Sends the emails and returns them.
async fn emails(ctx: &AppContext) -> Vec<String> {
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
        .expect("the email is sent");
    auth::AuthMailer::forgot_password(ctx, &user)
        .await
        .expect("the email is sent");
    auth::AuthMailer::send_magic_link(ctx, &user)
        .await
        .expect("the email is sent");

    let emails = ctx.mailer.as_ref().expect("a mailer").deliveries().messages;
    assert_eq!(emails.len(), 3);
    emails
}

#[tokio::test]
#[serial]
async fn emails_have_the_configured_sender_and_link_to_the_public_address() {
    let boot = boot_test::<App>().await.expect("the service boots");
    let mut ctx = boot.app_context;
    ctx.config.server.host = "https://public.example".to_string();
    ctx.config.settings = Some(json!({ "mailer": { "from": "Support <support@public.example>" } }));

    for email in emails(&ctx).await {
        assert!(
            email.contains("From: Support <support@public.example>"),
            "{email}"
        );
        assert_eq!(
            email.matches("https://public.example/").count(),
            2,
            "{email}"
        );
    }
}

#[tokio::test]
#[serial]
async fn emails_contain_nothing_that_a_stranger_wrote() {
    let boot = boot_test::<App>().await.expect("the service boots");

    for email in emails(&boot.app_context).await {
        assert!(!email.contains("prize"), "{email}");
    }
}

#[tokio::test]
#[serial]
async fn a_subject_is_one_line_of_plain_text() {
    let boot = boot_test::<App>().await.expect("the service boots");

    let subjects: Vec<String> = emails(&boot.app_context)
        .await
        .iter()
        .filter_map(|email| {
            email
                .lines()
                .find_map(|line| line.strip_prefix("Subject: "))
        })
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
async fn an_email_in_another_language_is_translated_completely() {
    let boot = boot_test::<App>().await.expect("the service boots");

    for email in Language::German.scope(emails(&boot.app_context)).await {
        assert!(email.contains("<html lang=3D\"de\">"), "{email}");
        assert!(!email.contains(" link "), "{email}");
        // An encoded line break at the end of the subject
        assert!(!email.contains("Cg==?="), "{email}");
    }
}
