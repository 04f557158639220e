use loco_rs::testing::prelude::*;
use rstest::rstest;
use serial_test::serial;

use {{crate_name}}::app::App;

#[rstest]
#[case(r"a\u0000b", 422)]
#[case(r"a\\\u0000b", 422)]
#[case(r"a\\u0000b", 401)]
#[tokio::test]
#[serial]
async fn text_with_a_nul_is_rejected(#[case] email: &str, #[case] status: u16) {
    request::<App, _, _>(|request, _ctx| async move {
        let response = request
            .post("/api/auth/login")
            .text([r#"{"email":""#, email, r#"","password":"1234"}"#].concat())
            .content_type("application/json")
            .await;

        assert_eq!(response.status_code(), status);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_url_with_a_nul_is_rejected() {
    request::<App, _, _>(|request, _ctx| async move {
        let response = request.get("/api/auth/verify/a%00b").await;

        assert_eq!(response.status_code(), 422);
    })
    .await;
}
