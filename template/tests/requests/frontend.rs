use loco_rs::testing::prelude::*;
use serial_test::serial;

use {{crate_name}}::app::App;

#[tokio::test]
#[serial]
async fn a_path_of_the_front_end_answers_with_its_page_when_it_is_loaded_anew() {
    request::<App, _, _>(|request, _ctx| async move {
        let page = request.get("/").await;

        assert_eq!(page.status_code(), 200);
        assert_eq!(page.header("content-type"), "text/html");
        assert_eq!(page.header("cache-control"), "no-cache");
        assert_eq!(request.get("/account").await.text(), page.text());
    })
    .await;
}
