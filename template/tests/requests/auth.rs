use axum::http::Method;
use insta::{assert_debug_snapshot, with_settings};
use loco_rs::{app::Hooks, testing::prelude::*};
use rstest::rstest;
use sea_orm::{IntoActiveModel, ModelTrait};
use serde_json::{json, Value};
use serial_test::serial;

use {{crate_name}}::mailers::auth::AuthMailer;
use {{crate_name}}::{app::App, models::users};

use super::prepare_data::{
    self, email_count, request_email, stored_user, token_in_last_email, with_production_links,
    EMAIL, PASSWORD,
};

#[tokio::test]
#[serial]
async fn registration_stores_an_unverified_user_and_emails_a_token() {
    request::<App, _, _>(|request, ctx| async move {
        let user = prepare_data::register(&request, &ctx).await;

        assert!(user.email_verified_at.is_none());
        assert!(user.email_verification_token.is_some());
        assert_eq!(email_count(&ctx), 1);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn the_last_registration_of_an_unverified_address_counts() {
    request::<App, _, _>(|request, ctx| async move {
        let params = json!({ "name": "Intruder", "email": EMAIL, "password": "intruder" });
        request.post("/api/auth/register").json(&params).await;
        let login = || request.post("/api/auth/login").json(&params);
        let session: Value = login().await.json();
        let intruders_token = stored_user(&ctx).await.email_verification_token;
        let intruders_token = intruders_token.expect("a token");
        let header = format!("Bearer {}", session["token"].as_str().expect("a token"));

        let user = prepare_data::register(&request, &ctx).await;

        assert_eq!(user.name, "New User");
        assert_eq!(login().await.status_code(), 401);
        let link = format!("/api/auth/verify/{intruders_token}");
        assert_eq!(request.get(&link).await.status_code(), 401);
        let current = request.get("/api/auth/current");
        let response = current.add_header("authorization", header).await;
        assert_eq!(response.status_code(), 401);
        prepare_data::login(&request).await;
    })
    .await;
}

#[rstest]
#[case("de-AT, en;q=0.5", "", "Setzen Sie ein neues Passwort")]
#[case("fr, de;q=0.5", "", "Setzen Sie ein neues Passwort")]
#[case("de", "language=en-US", "Set a new password")]
#[case("en", "language=de", "Setzen Sie ein neues Passwort")]
#[case("fr", "language=", "Set a new password")]
#[tokio::test]
#[serial]
async fn an_email_is_in_the_language_of_whoever_requests_it(
    #[case] accepted: &str,
    #[case] cookie: &str,
    #[case] subject: &str,
) {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;

        request
            .post("/api/auth/forgot")
            .add_header("accept-language", accepted)
            .add_header("cookie", cookie)
            .json(&json!({ "email": EMAIL }))
            .await;

        let mailer = ctx.mailer.as_ref().expect("a mailer").deliveries();
        let email = mailer.messages.last().expect("an email");
        assert!(
            email.contains(&format!("Subject: {subject}\r\n")),
            "{email}"
        );
    })
    .await;
}

#[tokio::test]
#[serial]
async fn the_owner_of_a_verified_address_is_notified_of_a_registration() {
    request::<App, _, _>(|request, ctx| async move {
        let user = prepare_data::register(&request, &ctx)
            .await
            .into_active_model();
        let user = user.verified(&ctx.db).await.expect("verified");
        let params = json!({ "name": "Intruder", "email": EMAIL, "password": "intruder" });

        let response = request.post("/api/auth/register").json(&params).await;

        assert_eq!(response.status_code(), 200);
        assert_eq!(response.text(), "null");
        let now = stored_user(&ctx).await;
        assert_eq!((now.name, now.password), (user.name, user.password));
        let mailer = ctx.mailer.as_ref().expect("a mailer").deliveries();
        assert_eq!(mailer.count, 2);
        assert!(mailer.messages[1].contains("Subject: You already have an account"));
    })
    .await;
}

#[rstest]
#[case("register", 0)]
#[case("resend-verification-mail", 0)]
#[case("forgot", 1)]
#[case("magic-link", 1)]
#[tokio::test]
#[serial]
async fn a_second_click_sends_no_second_email_and_revokes_no_link(
    #[case] path: &str,
    #[case] expected: usize,
) {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        // With the cooldown, which the test settings turn off.
        let mut config = ctx.config.clone();
        config.settings = Some(json!({
            "accounts": { "mail_after_answer": false, "allow_common_passwords": true },
        }));
        users::configure(&config).expect("the settings");
        let click = || {
            request
                .post(&format!("/api/auth/{path}"))
                .json(&json!({ "name": "New User", "email": EMAIL, "password": PASSWORD }))
        };

        assert_eq!(click().await.status_code(), 200);
        let first = stored_user(&ctx).await;
        assert_eq!(click().await.status_code(), 200);
        let second = stored_user(&ctx).await;

        assert_eq!(email_count(&ctx), 1 + expected);
        assert_eq!(
            first.email_verification_token,
            second.email_verification_token
        );
        assert_eq!(first.reset_token, second.reset_token);
        assert_eq!(first.magic_link_token, second.magic_link_token);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn an_invalid_registration_reports_its_fields() {
    request::<App, _, _>(|request, ctx| async move {
        let response = request
            .post("/api/auth/register")
            .json(&json!({ "name": "N", "email": "no-address", "password": "" }))
            .await;

        assert_eq!(response.status_code(), 422);
        let body: Value = response.json();
        for field in ["name", "email", "password"] {
            assert!(body["errors"][field][0]["message"].is_string(), "{body}");
        }
        assert_eq!(email_count(&ctx), 0);
    })
    .await;
}

#[rstest]
#[case("login_with_the_right_password", PASSWORD)]
#[case("login_with_a_wrong_password", "wrong")]
#[tokio::test]
#[serial]
async fn login(#[case] name: &str, #[case] password: &str) {
    request::<App, _, _>(|request, ctx| async move {
        let user = prepare_data::register(&request, &ctx).await;
        let token = user.email_verification_token.expect("a token");
        request.get(&format!("/api/auth/verify/{token}")).await;

        let response = request
            .post("/api/auth/login")
            .json(&json!({ "email": EMAIL, "password": password }))
            .await;

        with_settings!({
            filters => cleanup_user_model(),
            prepend_module_to_snapshot => false,
        }, {
            assert_debug_snapshot!(name, (response.status_code(), response.text()));
        });
    })
    .await;
}

#[tokio::test]
#[serial]
async fn an_unknown_address_and_a_wrong_password_look_the_same() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let login = |email: &'static str| {
            request
                .post("/api/auth/login")
                .json(&json!({ "email": email, "password": "wrong" }))
        };

        let (known, unknown) = (login(EMAIL).await, login("nobody@example.com").await);

        assert_eq!(known.status_code(), 401);
        assert_eq!(unknown.status_code(), 401);
        assert_eq!(known.text(), unknown.text());
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_token_that_is_not_text_is_a_json_error() {
    request::<App, _, _>(|request, _ctx| async move {
        let response = request.post("/api/auth/magic-link/%FF").await;

        assert_eq!(response.status_code(), 400);
        assert_eq!(response.json::<Value>()["error"], "Bad Request");
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_verification_link_works_once() {
    request::<App, _, _>(|request, ctx| async move {
        let user = prepare_data::register(&request, &ctx).await;
        let token = user.email_verification_token.expect("a token");
        let link = format!("/api/auth/verify/{token}");

        assert_eq!(request.get(&link).await.status_code(), 200);
        assert_eq!(request.get(&link).await.status_code(), 401);
        let (login, _) = prepare_data::login(&request).await;
        assert!(login.is_verified);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_forgotten_password_can_be_reset() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let response = request
            .post("/api/auth/forgot")
            .json(&json!({ "email": EMAIL }))
            .await;
        assert_eq!(response.status_code(), 200);
        assert_eq!(email_count(&ctx), 2);

        let token = stored_user(&ctx).await.reset_token.expect("a token");
        let reset = |password: &'static str| {
            request
                .post("/api/auth/reset")
                .json(&json!({ "token": token, "password": password }))
        };
        assert_eq!(reset("").await.status_code(), 422);
        assert_eq!(reset("another one").await.status_code(), 200);
        assert_eq!(reset("a third one").await.status_code(), 401);

        let user = stored_user(&ctx).await;
        assert!(user.verify_password("another one"));
        assert!(user.reset_token.is_none());
    })
    .await;
}

#[rstest]
#[case("/api/auth/forgot")]
#[case("/api/auth/resend-verification-mail")]
#[tokio::test]
#[serial]
async fn an_unknown_address_is_not_revealed(#[case] path: &str) {
    request::<App, _, _>(|request, ctx| async move {
        let response = request
            .post(path)
            .json(&json!({ "email": "nobody@example.com" }))
            .await;

        assert_eq!(response.status_code(), 200);
        assert_eq!(response.text(), "null");
        assert_eq!(email_count(&ctx), 0);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn current_returns_the_tokens_user() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (_, (name, value)) = prepare_data::login(&request).await;

        let response = request
            .get("/api/auth/current")
            .add_header(name, value)
            .await;

        with_settings!({
            filters => cleanup_user_model(),
            prepend_module_to_snapshot => false,
        }, {
            assert_debug_snapshot!("current", (response.status_code(), response.text()));
        });
    })
    .await;
}

#[tokio::test]
#[serial]
async fn logging_out_ends_only_this_session() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (_, (name, ended)) = prepare_data::login(&request).await;
        let (_, (_, other)) = prepare_data::login(&request).await;
        let logout = request.post("/api/auth/logout");

        let response = logout.add_header(name.clone(), ended.clone()).await;
        assert_eq!(response.status_code(), 200);

        for (value, status) in [(ended, 401), (other, 200)] {
            let current = request.get("/api/auth/current");
            let response = current.add_header(name.clone(), value).await;
            assert_eq!(response.status_code(), status);
        }
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_new_password_ends_every_session() {
    request::<App, _, _>(|request, ctx| async move {
        let user = prepare_data::register(&request, &ctx).await;
        let (_, (name, value)) = prepare_data::login(&request).await;
        let user = user.into_active_model();

        user.reset_password(&ctx.db, "another one")
            .await
            .expect("the password is set");

        let current = request.get("/api/auth/current");
        let response = current.add_header(name, value).await;
        assert_eq!(response.status_code(), 401);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_deleted_users_tokens_are_invalid() {
    request::<App, _, _>(|request, ctx| async move {
        let user = prepare_data::register(&request, &ctx).await;
        let jwt = ctx.config.get_jwt_config().expect("a secret");
        let without_session = user
            .generate_jwt(&jwt.secret, jwt.expiration)
            .expect("a token");
        let (login, _) = prepare_data::login(&request).await;
        let current = |token: &str| {
            let header = format!("Bearer {token}");
            request
                .get("/api/auth/current")
                .add_header("authorization", header)
        };
        assert_eq!(current(&without_session).await.status_code(), 200);

        user.delete(&ctx.db).await.expect("the user is deleted");

        assert_eq!(current(&without_session).await.status_code(), 401);
        assert_eq!(current(&login.token).await.status_code(), 401);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn current_needs_a_token() {
    request::<App, _, _>(|request, _ctx| async move {
        let response = request.get("/api/auth/current").await;

        assert_eq!(response.status_code(), 401);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_magic_link_logs_in_once() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let response = request
            .post("/api/auth/magic-link")
            .json(&json!({ "email": EMAIL }))
            .await;
        assert_eq!(response.status_code(), 200);
        assert_eq!(response.text(), "{}");
        assert_eq!(email_count(&ctx), 2);

        let token = stored_user(&ctx).await.magic_link_token.expect("a token");
        let link = format!("/api/auth/magic-link/{token}");
        assert_eq!(request.get(&link).await.status_code(), 200);
        assert_eq!(request.get(&link).await.status_code(), 401);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn magic_links_are_limited_to_configured_domains() {
    request::<App, _, _>(|request, _ctx| async move {
        let response = request
            .post("/api/auth/magic-link")
            .json(&json!({ "email": "user@elsewhere.org" }))
            .await;

        assert_eq!(response.status_code(), 400);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn the_verification_email_is_resent_until_verified() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let resend = || {
            request
                .post("/api/auth/resend-verification-mail")
                .json(&json!({ "email": EMAIL }))
        };

        resend().await;
        assert_eq!(email_count(&ctx), 2);

        let token = stored_user(&ctx)
            .await
            .email_verification_token
            .expect("a token");
        request.get(&format!("/api/auth/verify/{token}")).await;
        resend().await;
        assert_eq!(email_count(&ctx), 2);
    })
    .await;
}

#[rstest]
#[case(Method::POST, "register")]
#[case(Method::GET, "verify/token")]
#[case(Method::POST, "verify/token")]
#[case(Method::POST, "login")]
#[case(Method::POST, "forgot")]
#[case(Method::POST, "reset")]
#[case(Method::POST, "magic-link")]
#[case(Method::GET, "magic-link/token")]
#[case(Method::POST, "magic-link/token")]
#[case(Method::POST, "resend-verification-mail")]
#[tokio::test]
#[serial]
async fn a_database_failure_is_a_500(#[case] method: Method, #[case] path: &str) {
    request::<App, _, _>(|request, ctx| async move {
        ctx.db.close_by_ref().await.expect("it is closed");

        let response = request
            .method(method, &format!("/api/auth/{path}"))
            .json(&json!({
                "name": "New User", "email": EMAIL, "password": PASSWORD, "token": "token"
            }))
            .await;

        assert_eq!(response.status_code(), 500);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn an_unusable_secret_prevents_the_start() {
    let boot = boot_test::<App>().await.expect("the service boots");
    let mut ctx = boot.app_context;
    let jwt = ctx.config.auth.as_mut().and_then(|auth| auth.jwt.as_mut());
    jwt.expect("a configuration").secret = "not-base64".to_string();

    let err = App::before_run(&ctx).await.expect_err("it is refused");

    assert!(err.to_string().starts_with("auth.jwt.secret"), "{err}");
}

#[tokio::test]
#[serial]
async fn the_database_does_not_contain_emailed_tokens() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        with_production_links(&ctx);

        for path in ["resend-verification-mail", "forgot", "magic-link"] {
            request_email(&request, path).await;
            let token = token_in_last_email(&ctx);
            let user = format!("{:?}", stored_user(&ctx).await);
            assert!(token.len() >= 32, "{token}");
            assert!(!user.contains(&token), "{path}: {user}");
        }
    })
    .await;
}

#[tokio::test]
#[serial]
async fn following_a_link_neither_verifies_nor_logs_in() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        with_production_links(&ctx);
        request_email(&request, "resend-verification-mail").await;
        let link = format!("/api/auth/verify/{}", token_in_last_email(&ctx));
        let page = request.get(&link).await;
        assert_eq!(page.status_code(), 200);
        assert!(page.text().contains("<form method=\"post\">"));
        assert!(stored_user(&ctx).await.email_verified_at.is_none());
        let page = request.post(&link).add_header("accept", "text/html").await;
        assert!(page.text().contains("Email address verified"));
        assert!(stored_user(&ctx).await.email_verified_at.is_some());
        let page = request
            .post("/api/auth/verify/nobodys")
            .add_header("accept", "text/html");
        assert_eq!(page.await.status_code(), 401);

        request_email(&request, "magic-link").await;
        let link = format!("/api/auth/magic-link/{}", token_in_last_email(&ctx));
        let response = request.get(&link).await;
        assert_eq!(response.status_code(), 405);
        assert_eq!(response.header("allow"), "POST");
        let login: Value = request.post(&link).await.json();
        assert_eq!(login["is_verified"], true);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_link_that_was_just_used_still_works_for_the_same_person() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        with_production_links(&ctx);
        request_email(&request, "resend-verification-mail").await;
        let verify = format!("/api/auth/verify/{}", token_in_last_email(&ctx));
        assert_eq!(request.post(&verify).await.status_code(), 200);
        assert_eq!(request.post(&verify).await.status_code(), 200);

        request_email(&request, "forgot").await;
        let token = token_in_last_email(&ctx);
        let reset = |password: &'static str| {
            request
                .post("/api/auth/reset")
                .json(&json!({ "token": token, "password": password }))
        };
        assert_eq!(reset("correct horse").await.status_code(), 200);
        assert_eq!(reset("correct horse").await.status_code(), 200);
        assert_eq!(reset("another horse").await.status_code(), 401);

        request_email(&request, "magic-link").await;
        let token = token_in_last_email(&ctx);
        let log_in = |browser: &'static str| {
            request
                .post(&format!("/api/auth/magic-link/{token}"))
                .add_header("user-agent", browser)
        };
        let first: Value = log_in("Firefox").await.json();
        assert_eq!(log_in("curl").await.status_code(), 401);
        let second: Value = log_in("Firefox").await.json();
        for (login, status) in [(first, 401), (second, 200)] {
            let header = format!("Bearer {}", login["token"].as_str().expect("a token"));
            let current = request.get("/api/auth/current");
            let response = current.add_header("authorization", header).await;
            assert_eq!(response.status_code(), status);
        }
    })
    .await;
}

#[tokio::test]
#[serial]
async fn an_email_that_could_not_be_sent_can_be_requested_again() {
    request::<App, _, _>(|request, ctx| async move {
        let mut offline = ctx.clone();
        offline.mailer = None;
        let user = prepare_data::register(&request, &ctx).await;

        let sent = AuthMailer::send_verification(&offline, user).await;

        assert!(sent.is_err());
        assert!(stored_user(&ctx).await.email_verification_sent_at.is_none());
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_login_by_link_revokes_what_an_intruder_did_with_the_address() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (_, (name, intruder)) = prepare_data::login(&request).await;
        with_production_links(&ctx);
        request_email(&request, "magic-link").await;
        let link = format!("/api/auth/magic-link/{}", token_in_last_email(&ctx));

        let owner: Value = request.post(&link).await.json();

        assert_eq!(owner["is_verified"], true);
        assert!(!stored_user(&ctx).await.verify_password(PASSWORD));
        let current = request.get("/api/auth/current").add_header(name, intruder);
        assert_eq!(current.await.status_code(), 401);
    })
    .await;
}
