use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use axum::http::Method;
use loco_rs::{
    app::{AppContext, Hooks},
    controller::AppRoutes,
    testing::prelude::*,
};
use serde_json::Value;
use serial_test::serial;

use {{crate_name}}::{app::App, controllers, openapi};

/// The committed description, which `cargo loco task openapi` writes.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

/// Operations, such as `get /api/posts`, with their descriptions.
fn described() -> BTreeMap<String, Value> {
    let document = serde_json::to_value(openapi::document()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let mut operations = BTreeMap::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            operations.insert(format!("{method} {path}"), operation.clone());
        }
    }
    operations
}

/// The routes of the API, without pages and without those that serve the description.
fn routes(ctx: &AppContext) -> BTreeSet<String> {
    let own = AppRoutes::empty().add_route(controllers::openapi::routes(ctx));
    let own: Vec<_> = own.collect().into_iter().map(|route| route.uri).collect();
    let routes = App::routes(ctx).collect();
    let of_api = routes.iter().filter(|route| {
        let is_api = route.uri.starts_with("/api") || route.uri.starts_with("/_");
        let is_fallback =
            route.uri == "/api" && route.actions.len() > 1 || route.uri.contains("{*");
        is_api && !is_fallback && !own.contains(&route.uri)
    });
    of_api
        .flat_map(|route| {
            let actions = route.actions.iter().map(Method::as_str);
            actions.map(|method| format!("{} {}", method.to_lowercase(), route.uri))
        })
        .collect()
}

#[tokio::test]
#[serial]
async fn every_route_is_described() {
    let boot = boot_test::<App>().await.expect("the service boots");

    let described: BTreeSet<_> = described().into_keys().collect();

    assert_eq!(described, routes(&boot.app_context));
}

#[test]
fn every_operation_has_an_id_of_its_own_and_says_what_it_does() {
    let mut ids = BTreeSet::new();
    for (name, operation) in described() {
        let id = operation["operationId"].to_string();
        assert!(ids.insert(id), "{name} has the ID of another operation");
        assert!(operation["summary"].is_string(), "{name} has no summary");
    }
}

#[test]
fn the_committed_description_is_up_to_date() {
    let committed = fs::read_to_string(FILE).expect("openapi.json: run `cargo loco task openapi`");
    let committed: Value = serde_json::from_str(&committed).expect("JSON");
    let current = serde_json::to_value(openapi::document()).expect("JSON");

    assert!(
        committed == current,
        "run `cargo loco task openapi`, and see in the diff what changes for clients"
    );
}

#[tokio::test]
#[serial]
async fn the_description_and_its_viewer_are_served() {
    request::<App, _, _>(|request, _ctx| async move {
        let document = request.get("/api/openapi.json").await;
        assert_eq!(document.json::<Value>()["openapi"], "3.1.0");

        let redirect = request.get("/api/docs").await;
        assert_eq!(redirect.status_code(), 303);
        let location = redirect.header("location");
        let viewer = request.get(location.to_str().expect("a path")).await;
        assert_eq!(viewer.status_code(), 200);
        assert_eq!(viewer.header("content-type"), "text/html");
        // It loads nothing from elsewhere.
        assert!(!viewer.text().contains("://"), "{}", viewer.text());
        let start = request.get("/api/docs/swagger-initializer.js").await;
        assert!(start.text().contains("/api/openapi.json"));
        let unknown = request.get("/api/docs/unknown.js").await;
        assert_eq!(unknown.status_code(), 404);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn nothing_is_served_unless_it_is_switched_on() {
    let boot = boot_test::<App>().await.expect("the service boots");
    let mut ctx = boot.app_context;
    assert_eq!(controllers::openapi::routes(&ctx).handlers.len(), 3);

    ctx.config.settings = None;

    assert!(controllers::openapi::routes(&ctx).handlers.is_empty());
}
