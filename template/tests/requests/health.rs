use loco_rs::testing::prelude::*;
use migration::{Migrator, MigratorTrait};
use sea_orm::ConnectionTrait;
use serde_json::{json, Value};
use serial_test::serial;

use {{crate_name}}::app::App;

#[tokio::test]
#[serial]
async fn a_process_is_not_ready_before_its_migrations_are_applied() {
    request::<App, _, _>(|request, ctx| async move {
        let ready = request.get("/_readiness").await;
        assert_eq!(ready.status_code(), 200);
        assert_eq!(ready.json::<Value>(), json!({ "ok": true }));

        let last = Migrator::migrations().pop().expect("there are some");
        let rename = |from: &str, to: &str| {
            format!("UPDATE seaql_migrations SET version = '{to}' WHERE version = '{from}'")
        };
        let forget = rename(last.name(), "another");
        let apply = rename("another", last.name());
        ctx.db.execute_unprepared(&forget).await.expect("a table");
        let pending = request.get("/_readiness").await;
        ctx.db.execute_unprepared(&apply).await.expect("a table");
        let applied = request.get("/_readiness").await;

        assert_eq!(pending.status_code(), 503);
        let missing = json!({ "ok": false, "missing": ["migrations"] });
        assert_eq!(pending.json::<Value>(), missing);
        assert_eq!(applied.status_code(), 200);
    })
    .await;
}
