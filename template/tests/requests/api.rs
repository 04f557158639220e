use loco_rs::testing::prelude::*;
use serial_test::serial;

use {{crate_name}}::app::App;

#[tokio::test]
#[serial]
async fn an_unknown_api_route_is_an_error_and_not_a_page() {
    request::<App, _, _>(|request, _ctx| async move {
        for response in [
            request.get("/api").await,
            request.get("/api/unknown").await,
            request.post("/api/auth/unknown").await,
        ] {
            assert_eq!(response.status_code(), 404);
            assert_eq!(response.json::<serde_json::Value>()["error"], "not_found");
        }
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_script_of_an_earlier_build_is_missing_and_not_a_page() {
    request::<App, _, _>(|request, _ctx| async move {
        let response = request.get("/assets/index-earlier.js").await;

        assert_eq!(response.status_code(), 404);
    })
    .await;
}
