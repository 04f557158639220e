use axum::http::{header, HeaderName, HeaderValue};
use loco_rs::{testing::prelude::*, TestServer};
use rstest::rstest;
use sea_orm::ModelTrait;
use serde_json::json;
use serial_test::serial;

use {{crate_name}}::app::App;

use super::prepare_data::{self, EMAIL, PASSWORD};

/// Logs in on the page and returns the header that a browser would send from then on.
pub async fn log_in(request: &TestServer) -> (HeaderName, HeaderValue) {
    let response = request
        .post("/login")
        .form(&json!({ "email": EMAIL, "password": PASSWORD }))
        .await;
    assert_eq!(response.status_code(), 303);
    assert_eq!(response.header("location"), "/account");
    let token = response.cookie("auth_token").value().to_string();
    let value = HeaderValue::from_str(&format!("auth_token={token}")).expect("a header");
    (header::COOKIE, value)
}

#[tokio::test]
#[serial]
async fn the_account_requires_a_login() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let response = request.get("/account").await;
        assert_eq!(response.status_code(), 303);
        assert_eq!(response.header("location"), "/login?next=%2Faccount");

        let (name, value) = log_in(&request).await;
        let response = request.get("/account").add_header(name, value).await;

        assert_eq!(response.status_code(), 200);
        assert!(response.text().contains(EMAIL));
        assert_eq!(response.header("cache-control"), "no-store");
    })
    .await;
}

#[tokio::test]
#[serial]
async fn scripts_and_other_sites_cannot_reach_the_cookie() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;

        let response = request
            .post("/login")
            .form(&json!({ "email": EMAIL, "password": PASSWORD }))
            .await;

        let header = response.header("set-cookie");
        let cookie = header.to_str().expect("text");
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=604800"] {
            assert!(cookie.contains(attribute), "{attribute}: {cookie}");
        }
    })
    .await;
}

#[tokio::test]
#[serial]
async fn the_api_accepts_the_cookie_but_prefers_the_header() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (cookie, value) = log_in(&request).await;
        let current = || {
            request
                .get("/api/auth/current")
                .add_header(cookie.clone(), value.clone())
        };

        assert_eq!(current().await.status_code(), 200);
        let with_header = current().add_header("authorization", "Bearer wrong").await;
        assert_eq!(with_header.status_code(), 401);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_login_ends_the_previous_session_of_the_browser() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let elsewhere = log_in(&request).await;
        let (name, value) = log_in(&request).await;

        let response = request
            .post("/login")
            .add_header(name.clone(), value.clone())
            .form(&json!({ "email": EMAIL, "password": PASSWORD }))
            .await;

        assert_eq!(response.status_code(), 303);
        for ((name, value), status) in [((name, value), 303), (elsewhere, 200)] {
            let account = request.get("/account").add_header(name, value).await;
            assert_eq!(account.status_code(), status);
        }
    })
    .await;
}

#[tokio::test]
#[serial]
async fn logging_out_deletes_the_cookie() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (name, value) = log_in(&request).await;

        let response = request
            .post("/logout")
            .add_header(name.clone(), value.clone())
            .await;

        assert_eq!(response.status_code(), 303);
        let header = response.header("set-cookie");
        let cookie = header.to_str().expect("text");
        assert!(cookie.starts_with("auth_token=;"), "{cookie}");
        assert!(cookie.contains("Max-Age=0"), "{cookie}");
        let with_a_copy = request.get("/account").add_header(name, value).await;
        assert_eq!(with_a_copy.header("location"), "/login?next=%2Faccount");
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_wrong_password_and_an_unknown_address_look_the_same() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let page = |email: &'static str| {
            let form = request
                .post("/login")
                .form(&json!({ "email": email, "password": "wrong" }));
            async move {
                let response = form.await;
                assert_eq!(response.status_code(), 401);
                assert!(response.maybe_cookie("auth_token").is_none());
                response.text().replace(email, "")
            }
        };

        let (known, unknown) = (page(EMAIL).await, page("nobody@example.com").await);

        assert!(known.contains("The email address or the password is wrong."));
        assert_eq!(known, unknown);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn viewing_a_login_link_does_not_use_it_up() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let requested = request
            .post("/magic-link")
            .form(&json!({ "email": EMAIL }))
            .await;
        assert_eq!(requested.header("location"), "/check-your-mail");
        let link = prepare_data::link_in_last_email(&ctx);

        assert_eq!(request.get(&link).await.status_code(), 200);
        assert_eq!(request.get(&link).await.status_code(), 200);
        let response = request.post(&link).await;

        assert_eq!(response.header("location"), "/account");
        assert!(!response.cookie("auth_token").value().is_empty());
        assert_eq!(request.get(&link).await.status_code(), 404);
        assert_eq!(request.post(&link).await.status_code(), 404);
    })
    .await;
}

#[rstest]
#[case("user@elsewhere.org", "Login links cannot be sent to this address.")]
#[case("@example.com", "Enter an email address")]
#[case("", "Enter an email address")]
#[tokio::test]
#[serial]
async fn login_links_are_limited_to_configured_domains(#[case] email: &str, #[case] problem: &str) {
    request::<App, _, _>(|request, _ctx| async move {
        let response = request
            .post("/magic-link")
            .form(&json!({ "email": email }))
            .await;

        assert_eq!(response.status_code(), 422);
        assert!(response.text().contains(problem));
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_deleted_user_is_logged_out() {
    request::<App, _, _>(|request, ctx| async move {
        let user = prepare_data::register(&request, &ctx).await;
        let (name, value) = log_in(&request).await;
        user.delete(&ctx.db).await.expect("the user is deleted");

        let response = request.get("/account").add_header(name, value).await;

        assert_eq!(response.header("location"), "/login?next=%2Faccount");
    })
    .await;
}

#[rstest]
#[case("/login?next=%2Faccount%2Fname%3Fa%3Db", "/account/name?a=b")]
#[case("/login?next=https%3A%2F%2Felsewhere.example", "/account")]
#[case("/login?next=%2F%2Felsewhere.example", "/account")]
#[case("/login?next=%2F%5Celsewhere.example", "/account")]
#[case("/login?next=%0A", "/account")]
#[tokio::test]
#[serial]
async fn a_login_leads_to_the_requested_page(#[case] login: &str, #[case] page: &str) {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;

        let response = request
            .post(login)
            .form(&json!({ "email": EMAIL, "password": PASSWORD }))
            .await;

        assert_eq!(response.header("location"), page);
    })
    .await;
}

#[rstest]
#[case("/login")]
#[case("/register")]
#[case("/forgot")]
#[case("/magic-link")]
#[tokio::test]
#[serial]
async fn users_are_redirected_from_guest_pages(#[case] path: &str) {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (name, value) = log_in(&request).await;

        let response = request.get(path).add_header(name, value).await;

        assert_eq!(response.status_code(), 303);
        assert_eq!(response.header("location"), "/account");
    })
    .await;
}
