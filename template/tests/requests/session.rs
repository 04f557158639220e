use axum::http::header;
use loco_rs::{testing::prelude::*, TestServer};
use rstest::rstest;
use serde_json::{json, Value};
use serial_test::serial;

use {{crate_name}}::app::App;

use super::prepare_data::{self, token_in_last_email, with_production_links, EMAIL, PASSWORD};

/// Logs in like a browser and returns the cookie that it would send from then on.
async fn log_in(request: &TestServer) -> String {
    let response = request
        .post("/api/session")
        .json(&json!({ "email": EMAIL, "password": PASSWORD }))
        .await;
    assert_eq!(response.status_code(), 200);
    let user: Value = response.json();
    assert_eq!(user["email"], EMAIL);
    assert!(user.get("token").is_none(), "{user}");
    let cookie = response.header("set-cookie");
    let cookie = cookie.to_str().expect("text");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=604800"] {
        assert!(cookie.contains(attribute), "{attribute}: {cookie}");
    }
    let (cookie, _) = cookie.split_once(';').expect("attributes");
    cookie.to_string()
}

#[tokio::test]
#[serial]
async fn a_browser_logs_in_and_out() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let cookie = log_in(&request).await;
        let account = || {
            request
                .get("/api/account")
                .add_header(header::COOKIE, &cookie)
        };
        assert_eq!(account().await.status_code(), 200);

        let response = request
            .delete("/api/session")
            .add_header(header::COOKIE, &cookie)
            .await;

        assert_eq!(response.status_code(), 200);
        let ended = response.header("set-cookie");
        assert!(ended.to_str().expect("text").contains("Max-Age=0"));
        assert_eq!(account().await.status_code(), 401);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_login_ends_the_previous_session_of_the_browser() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let elsewhere = log_in(&request).await;
        let previous = log_in(&request).await;

        let response = request
            .post("/api/session")
            .add_header(header::COOKIE, &previous)
            .json(&json!({ "email": EMAIL, "password": PASSWORD }))
            .await;

        assert_eq!(response.status_code(), 200);
        for (cookie, status) in [(previous, 401), (elsewhere, 200)] {
            let account = request
                .get("/api/account")
                .add_header(header::COOKIE, cookie)
                .await;
            assert_eq!(account.status_code(), status);
        }
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_wrong_password_begins_no_session() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;

        let response = request
            .post("/api/session")
            .json(&json!({ "email": EMAIL, "password": "wrong" }))
            .await;

        assert_eq!(response.status_code(), 401);
        assert!(response.maybe_header("set-cookie").is_none());
    })
    .await;
}

#[tokio::test]
#[serial]
async fn an_emailed_link_logs_the_browser_in() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        with_production_links(&ctx);
        prepare_data::request_email(&request, "magic-link").await;
        let link = format!("/api/session/{}", token_in_last_email(&ctx));

        let response = request.post(&link).await;

        assert_eq!(response.status_code(), 200);
        let cookie = response.header("set-cookie");
        assert!(cookie.to_str().expect("text").contains("HttpOnly"));
    })
    .await;
}

#[rstest]
#[case("same-origin", 200)]
#[case("cross-site", 403)]
#[tokio::test]
#[serial]
async fn other_sites_cannot_use_the_cookie(#[case] site: &str, #[case] status: u16) {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let cookie = log_in(&request).await;

        let response = request
            .post("/api/account/name")
            .add_header(header::COOKIE, cookie)
            .add_header("sec-fetch-site", site)
            .add_header("origin", "https://elsewhere.example")
            .json(&json!({ "name": "Ann" }))
            .await;

        assert_eq!(response.status_code(), status);
    })
    .await;
}
