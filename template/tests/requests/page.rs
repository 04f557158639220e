use loco_rs::testing::prelude::*;
use rstest::rstest;
use serde_json::json;
use serial_test::serial;

use {{crate_name}}::app::App;

use super::{
    prepare_data::{self, with_production_links},
    session_pages::log_in,
};

#[tokio::test]
#[serial]
async fn home_greets() {
    request::<App, _, _>(|request, _ctx| async move {
        let response = request.get("/").await;

        assert_eq!(response.status_code(), 200);
        assert!(response.text().contains("<h1>Hello World!</h1>"));
    })
    .await;
}

#[rstest]
#[case("de-AT,en;q=0.5", "de-DE")]
#[case("en-GB,de;q=0.5", "en-US")]
#[case("fr,de;q=0.5", "de-DE")]
#[case("fr", "en-US")]
#[case("?", "en-US")]
#[tokio::test]
#[serial]
async fn a_page_is_in_a_language_of_the_browser(#[case] accepted: &str, #[case] language: &str) {
    request::<App, _, _>(|request, _ctx| async move {
        let response = request
            .get("/")
            .add_header("accept-language", accepted)
            .await;

        let html = response.text();
        assert!(
            html.contains(&format!("<html lang=\"{language}\">")),
            "{html}"
        );
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_chosen_language_is_kept() {
    request::<App, _, _>(|request, _ctx| async move {
        let chosen = request
            .get("/login?lang=de-DE")
            .add_header("accept-language", "en")
            .await;
        assert!(chosen.text().contains("<h1>Anmelden</h1>"));

        let later = request
            .get("/login")
            .add_header("accept-language", "en")
            .add_cookies(chosen.cookies())
            .await;
        assert!(later.text().contains("<h1>Anmelden</h1>"));
    })
    .await;
}

#[tokio::test]
#[serial]
async fn an_error_is_a_page_for_a_browser_and_json_for_a_program() {
    request::<App, _, _>(|request, _ctx| async move {
        let missing = request
            .get("/nowhere")
            .add_header("accept", "text/html")
            .await;
        assert_eq!(missing.status_code(), 404);
        assert!(missing.text().contains("<h1>Page not found</h1>"));

        let person = request
            .get("/api/auth/current")
            .add_header("accept", "text/html")
            .await;
        assert_eq!(person.status_code(), 401);
        assert!(person.text().contains("(error 401)"));

        let program = request.get("/api/auth/current").await;
        assert_eq!(program.status_code(), 401);
        assert_eq!(program.header("content-type"), "application/json");
    })
    .await;
}

#[tokio::test]
#[serial]
async fn too_many_attempts_are_rate_limited() {
    request::<App, _, _>(|request, ctx| async move {
        with_production_links(&ctx);
        let log_in = || {
            request
                .post("/login")
                .add_header("accept", "text/html")
                .form(&json!({ "email": "nobody@example.com", "password": "wrong" }))
        };
        for _ in 0..10 {
            assert_eq!(log_in().await.status_code(), 401);
        }

        let refused = log_in().await;

        assert_eq!(refused.status_code(), 429);
        assert!(refused.headers().contains_key("retry-after"));
        assert!(refused.text().contains("too many attempts"));
    })
    .await;
}

#[tokio::test]
#[serial]
async fn an_error_page_keeps_the_headers_of_the_response() {
    request::<App, _, _>(|request, _ctx| async move {
        let response = request
            .get("/logout")
            .add_header("accept", "text/html")
            .add_header("x-request-id", "request-1")
            .await;

        assert_eq!(response.status_code(), 405);
        assert_eq!(response.header("allow"), "POST");
        assert_eq!(response.header("x-request-id"), "request-1");
        assert_eq!(response.header("cache-control"), "no-store");
        assert!(response.text().contains("did not accept this request"));
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_user_gets_an_error_page_even_without_the_database() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (name, value) = log_in(&request).await;
        ctx.db.close_by_ref().await.expect("it is closed");

        let response = request
            .get("/account")
            .add_header("accept", "text/html")
            .add_header(name, value)
            .await;

        assert_eq!(response.status_code(), 500);
        assert!(response.text().contains("(error 500)"));
    })
    .await;
}

#[tokio::test]
#[serial]
async fn the_style_sheet_is_served() {
    request::<App, _, _>(|request, _ctx| async move {
        let response = request.get("/static/style.css").await;

        assert_eq!(response.status_code(), 200);
        assert_eq!(response.header("content-type"), "text/css");
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_missing_static_file_is_a_404() {
    request::<App, _, _>(|request, _ctx| async move {
        let response = request
            .get("/static/missing.png")
            .add_header("accept", "text/html")
            .await;

        assert_eq!(response.status_code(), 404);
        let html = response.text().to_lowercase();
        assert!(html.contains("not found</h1>"), "{html}");
    })
    .await;
}

#[rstest]
#[case("sec-fetch-site", "same-origin", 303)]
#[case("origin", "http://localhost", 303)]
#[case("sec-fetch-site", "cross-site", 403)]
#[case("sec-fetch-site", "same-site", 403)]
#[case("origin", "https://elsewhere.example", 403)]
#[tokio::test]
#[serial]
async fn forms_are_accepted_only_from_the_services_own_pages(
    #[case] header: &str,
    #[case] value: &str,
    #[case] status: u16,
) {
    request::<App, _, _>(|request, _ctx| async move {
        let response = request
            .post("/logout")
            .add_header("host", "localhost")
            .add_header(header, value)
            .await;

        assert_eq!(response.status_code(), status);
        let is_logged_out = response.maybe_cookie("auth_token").is_some();
        assert_eq!(is_logged_out, status == 303);
    })
    .await;
}
