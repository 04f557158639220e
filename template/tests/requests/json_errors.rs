use loco_rs::testing::prelude::*;
use serde_json::Value;
use serial_test::serial;

use {{crate_name}}::app::App;

#[tokio::test]
#[serial]
async fn unmatched_requests_are_json_errors() {
    request::<App, _, _>(|request, _ctx| async move {
        let unknown = request.get("/api/unknown").await;
        assert_eq!(unknown.status_code(), 404);
        assert_eq!(unknown.json::<Value>()["error"], "not_found");

        let wrong_method = request.delete("/_ping").await;
        assert_eq!(wrong_method.status_code(), 405);
        assert_eq!(wrong_method.json::<Value>()["error"], "method_not_allowed");
        assert!(wrong_method.headers().contains_key("allow"));
        assert!(wrong_method.headers().contains_key("x-request-id"));
    })
    .await;
}
