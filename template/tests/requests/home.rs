use loco_rs::testing::prelude::*;
use serial_test::serial;

use {{crate_name}}::app::App;

#[tokio::test]
#[serial]
async fn home_names_the_app() {
    request::<App, _, _>(|request, _ctx| async move {
        let response = request.get("/api").await;

        assert_eq!(response.status_code(), 200);
        response.assert_json(&serde_json::json!({ "app_name": "loco" }));
    })
    .await;
}

#[tokio::test]
#[serial]
async fn health_is_ok() {
    request::<App, _, _>(|request, _ctx| async move {
        let response = request.get("/_health").await;

        assert_eq!(response.status_code(), 200);
        response.assert_json(&serde_json::json!({ "ok": true }));
    })
    .await;
}
