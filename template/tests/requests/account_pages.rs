use axum::http::Method;
use loco_rs::testing::prelude::*;
use rstest::rstest;
use serde_json::{json, Value};
use serial_test::serial;

use {{crate_name}}::{app::App, models::users};

use super::{
    prepare_data::{self, email_count, stored_user, EMAIL, PASSWORD},
    session_pages,
};

fn new_user() -> Value {
    json!({ "name": "New User", "email": EMAIL, "password": PASSWORD })
}

#[tokio::test]
#[serial]
async fn the_registration_email_leads_to_a_verified_address() {
    request::<App, _, _>(|request, ctx| async move {
        let registered = request.post("/register").form(&new_user()).await;
        assert_eq!(registered.status_code(), 303);
        assert_eq!(registered.header("location"), "/check-your-mail");
        let link = prepare_data::link_in_last_email(&ctx);

        let shown = request.get(&link).await;
        assert_eq!(shown.status_code(), 200);
        assert!(stored_user(&ctx).await.email_verified_at.is_none());
        let verified = request.post(&link).await;

        assert_eq!(verified.header("location"), "/login?done=verified");
        assert!(stored_user(&ctx).await.email_verified_at.is_some());
        assert_eq!(request.get(&link).await.status_code(), 404);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_known_address_is_not_revealed_at_registration() {
    request::<App, _, _>(|request, _ctx| async move {
        let first = request.post("/register").form(&new_user()).await;
        let second = request.post("/register").form(&new_user()).await;

        assert_eq!(first.status_code(), second.status_code());
        assert_eq!(first.header("location"), second.header("location"));
        assert_eq!(first.text(), second.text());
    })
    .await;
}

#[rstest]
#[case("name", "N", "Geben Sie einen Namen mit 2 bis 100 Zeichen")]
#[case("email", "new", "Geben Sie eine E-Mail-Adresse ein")]
#[case("password", "123", "Geben Sie ein Passwort in der richtigen Länge ein")]
#[tokio::test]
#[serial]
async fn an_invalid_field_is_reported_in_the_users_language(
    #[case] field: &str,
    #[case] value: &str,
    #[case] message: &str,
) {
    request::<App, _, _>(|request, ctx| async move {
        let mut form = new_user();
        form[field] = json!(value);

        let response = request
            .post("/register")
            .add_header("accept-language", "de")
            .form(&form)
            .await;

        assert_eq!(response.status_code(), 422);
        let html = response.text();
        assert!(
            html.contains(&format!("<a href=\"#{field}\">{message}")),
            "{html}"
        );
        assert_eq!(html.matches("aria-invalid").count(), 1, "{html}");
        assert!(html.contains("value=\"new"), "the input is lost: {html}");
        assert!(!html.contains(PASSWORD), "{html}");
        assert_eq!(email_count(&ctx), 0);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn input_is_escaped() {
    request::<App, _, _>(|request, _ctx| async move {
        let form = json!({ "name": "<b>\"", "email": "<i>", "password": "" });

        let html = request.post("/register").form(&form).await.text();

        assert!(!html.contains("<b>") && !html.contains("<i>"), "{html}");
        assert!(html.contains("value=\"&lt;b&gt;&quot;\""), "{html}");
    })
    .await;
}

#[tokio::test]
#[serial]
async fn the_password_reset_email_leads_to_a_new_password() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let requested = request
            .post("/forgot")
            .form(&json!({ "email": EMAIL }))
            .await;
        assert_eq!(requested.header("location"), "/check-your-mail");
        let link = prepare_data::link_in_last_email(&ctx);
        assert_eq!(request.get(&link).await.status_code(), 200);

        let short = request
            .post(&link)
            .form(&json!({ "password": "123" }))
            .await;
        assert_eq!(short.status_code(), 422);
        assert!(stored_user(&ctx).await.verify_password(PASSWORD));

        let form = json!({ "password": "another one" });
        let set = request.post(&link).form(&form).await;
        assert_eq!(set.header("location"), "/login?done=password");
        assert!(stored_user(&ctx).await.verify_password("another one"));
        assert_eq!(request.get(&link).await.status_code(), 404);
        assert_eq!(request.post(&link).form(&form).await.status_code(), 404);
    })
    .await;
}

#[rstest]
#[case("/forgot")]
#[case("/magic-link")]
#[tokio::test]
#[serial]
async fn an_unknown_address_is_not_revealed_on_pages(#[case] path: &str) {
    request::<App, _, _>(|request, ctx| async move {
        let response = request
            .post(path)
            .form(&json!({ "email": "nobody@example.com" }))
            .await;

        assert_eq!(response.header("location"), "/check-your-mail");
        assert_eq!(email_count(&ctx), 0);
    })
    .await;
}

#[rstest]
#[case(Method::GET, "/verify/token")]
#[case(Method::POST, "/verify/token")]
#[case(Method::GET, "/reset/token")]
#[case(Method::POST, "/reset/token")]
#[case(Method::GET, "/magic-link/token")]
#[case(Method::POST, "/magic-link/token")]
#[tokio::test]
#[serial]
async fn a_link_is_not_called_invalid_when_the_database_fails(
    #[case] method: Method,
    #[case] path: &str,
) {
    request::<App, _, _>(|request, ctx| async move {
        ctx.db.close_by_ref().await.expect("it is closed");

        let response = request
            .method(method, path)
            .form(&json!({ "password": PASSWORD }))
            .await;

        assert_eq!(response.status_code(), 500);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn the_verification_email_can_be_resent_from_the_account() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (name, value) = session_pages::log_in(&request).await;
        let resend = || {
            request
                .post("/account/verification")
                .add_header(name.clone(), value.clone())
        };

        assert_eq!(resend().await.header("location"), "/check-your-mail");
        assert_eq!(email_count(&ctx), 2);

        request.post(&prepare_data::link_in_last_email(&ctx)).await;
        resend().await;
        assert_eq!(email_count(&ctx), 2);
    })
    .await;
}

#[rstest]
#[case("/register")]
#[case("/login")]
#[case("/forgot")]
#[case("/magic-link")]
#[case("/check-your-mail")]
#[case("/account/email/token")]
#[case("/?done=deleted")]
#[case("/login?done=verified")]
#[case("/login?done=password")]
#[case("/login?done=email")]
#[case("/login?done=nothing")]
#[tokio::test]
#[serial]
async fn every_page_exists_in_every_language(#[case] path: &str) {
    request::<App, _, _>(|request, _ctx| async move {
        for language in ["en-US", "de-DE"] {
            let response = request
                .get(path)
                .add_header("accept-language", language)
                .await;

            assert_eq!(response.status_code(), 200);
            let html = response.text();
            assert!(html.contains(&format!("lang=\"{language}\"")), "{html}");
            assert!(!html.contains("Unknown localization key"), "{html}");
        }
    })
    .await;
}

#[rstest]
#[case("/account")]
#[case("/account?done=name")]
#[case("/account?done=email-asked")]
#[case("/account?done=session")]
#[case("/account/name")]
#[case("/account/email")]
#[case("/account/password")]
#[case("/account/delete")]
#[tokio::test]
#[serial]
async fn every_page_for_users_exists_in_every_language(#[case] path: &str) {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (name, value) = session_pages::log_in(&request).await;
        for language in ["en-US", "de-DE"] {
            let response = request
                .get(path)
                .add_header(name.clone(), value.clone())
                .add_header("accept-language", language)
                .await;

            assert_eq!(response.status_code(), 200);
            let html = response.text();
            assert!(html.contains(&format!("lang=\"{language}\"")), "{html}");
            assert!(!html.contains("Unknown localization key"), "{html}");
        }
        let without_login = request.get(path).await;
        let login = without_login.header("location");
        let login = login.to_str().expect("text");
        assert!(login.starts_with("/login?next=%2Faccount"), "{login}");
    })
    .await;
}

#[rstest]
#[case("/account/name", json!({ "name": "A" }), "name")]
#[case("/account/email", json!({ "email": "no", "current_password": PASSWORD }), "email")]
#[case("/account/email", json!({ "email": "a@b.example", "current_password": "no" }), "current_password")]
#[case("/account/password", json!({ "new_password": "1", "current_password": PASSWORD }), "new_password")]
#[case("/account/password", json!({ "new_password": "1234", "current_password": "no" }), "current_password")]
#[case("/account/delete", json!({ "current_password": "no" }), "current_password")]
#[tokio::test]
#[serial]
async fn errors_are_shown_at_their_field(
    #[case] path: &str,
    #[case] form: Value,
    #[case] field: &str,
) {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let before = stored_user(&ctx).await;
        let (name, value) = session_pages::log_in(&request).await;

        let response = request.post(path).add_header(name, value).form(&form).await;

        assert_eq!(response.status_code(), 422);
        let html = response.text();
        assert!(html.contains(&format!("<a href=\"#{field}\">")), "{html}");
        assert!(!html.contains("Unknown localization key"), "{html}");
        assert_eq!(stored_user(&ctx).await.password, before.password);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_user_can_change_the_account() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (name, value) = session_pages::log_in(&request).await;
        let post = |path: &str, form: Value| {
            request
                .post(path)
                .add_header(name.clone(), value.clone())
                .form(&form)
        };

        let renamed = post("/account/name", json!({ "name": "Ann" })).await;
        assert_eq!(renamed.header("location"), "/account?done=name");
        assert_eq!(stored_user(&ctx).await.name, "Ann");

        let form = json!({ "new_password": "another one", "current_password": PASSWORD });
        let changed = post("/account/password", form).await;
        assert_eq!(changed.header("location"), "/account?done=password");

        let form = json!({ "email": "ann@example.com", "current_password": "another one" });
        let requested = post("/account/email", form).await;
        assert_eq!(requested.header("location"), "/account?done=email-asked");
        let link = prepare_data::link_in_last_email(&ctx);
        assert_eq!(request.get(&link).await.status_code(), 200);
        let confirmed = post(&link, json!({})).await;
        assert_eq!(confirmed.header("location"), "/account?done=email");
        let user = users::Model::find_by_email(&ctx.db, "ann@example.com").await;
        assert_eq!(user.expect("the new address").name, "Ann");

        let form = json!({ "current_password": "another one" });
        let deleted = post("/account/delete", form).await;
        assert_eq!(deleted.header("location"), "/?done=deleted");
        let header = deleted.header("set-cookie");
        assert!(header.to_str().expect("text").starts_with("auth_token=;"));
        let user = users::Model::find_by_email(&ctx.db, "ann@example.com").await;
        assert!(users::optional(user).expect("the database").is_none());
    })
    .await;
}
