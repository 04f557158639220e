use loco_rs::testing::prelude::*;
use serial_test::serial;

use {{crate_name}}::app::App;

#[tokio::test]
#[serial]
async fn front_end_paths_serve_its_page_on_reload() {
    request::<App, _, _>(|request, _ctx| async move {
        let page = request.get("/").await;

        assert_eq!(page.status_code(), 200);
        assert_eq!(page.header("content-type"), "text/html");
        assert_eq!(page.header("cache-control"), "no-cache");
        assert_eq!(request.get("/account").await.text(), page.text());
    })
    .await;
}
