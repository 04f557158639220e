use axum::http::{HeaderName, HeaderValue};
use loco_rs::{testing::prelude::*, TestServer};
use rstest::rstest;
use sea_orm::{ActiveModelTrait, EntityTrait, PaginatorTrait, Set};
use serde_json::{json, Value};
use serial_test::serial;

use {{crate_name}}::{
    app::App,
    models::{email_changes, users},
};

use super::prepare_data::{self, email_count, stored_user, token_in_last_email, EMAIL, PASSWORD};

/// Posts to the account API and returns the status and the body of the response.
async fn post(
    request: &TestServer,
    (name, value): &(HeaderName, HeaderValue),
    path: &str,
    body: &Value,
) -> (u16, Value) {
    let response = request
        .post(&format!("/api/account{path}"))
        .add_header(name, value)
        .json(body)
        .await;
    (response.status_code().as_u16(), response.json())
}

#[rstest]
#[case("/email", json!({ "email": "other@example.com", "current_password": "wrong" }))]
#[case("/password", json!({ "new_password": "another one", "current_password": "wrong" }))]
#[case("/delete", json!({ "current_password": "wrong" }))]
#[tokio::test]
#[serial]
async fn a_session_alone_does_not_hand_the_account_over(#[case] path: &str, #[case] body: Value) {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (_, session) = prepare_data::login(&request).await;

        let (status, body) = post(&request, &session, path, &body).await;

        assert_eq!(status, 422);
        assert!(body["errors"]["current_password"].is_array(), "{body}");
        assert!(stored_user(&ctx).await.verify_password(PASSWORD));
        assert_eq!(email_count(&ctx), 1);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_new_address_takes_effect_once_it_is_confirmed() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (_, session) = prepare_data::login(&request).await;
        let body = json!({ "email": "Other@Example.com", "current_password": PASSWORD });

        let response = post(&request, &session, "/email", &body).await;

        assert_eq!(response, (200, Value::Null));
        assert!(stored_user(&ctx).await.email_verified_at.is_none());
        let link = format!("/api/account/email/{}", token_in_last_email(&ctx));
        assert_eq!(request.get(&link).await.status_code(), 200);
        assert_eq!(stored_user(&ctx).await.email, EMAIL);
        assert_eq!(request.post(&link).await.status_code(), 200);
        let user = users::Model::find_by_email(&ctx.db, "other@example.com").await;
        assert!(user.expect("the address").email_verified_at.is_some());
        let messages = ctx.mailer.as_ref().expect("a mailer").deliveries().messages;
        let notice = messages.last().expect("an email");
        assert!(notice.contains(&format!("To: {EMAIL}")), "{notice}");
        assert_eq!(request.post(&link).await.status_code(), 401);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_request_for_another_address_cancels_the_previous_one() {
    request::<App, _, _>(|request, ctx| async move {
        let owner = json!({ "name": "Owner", "email": "owner@example.com", "password": PASSWORD });
        request.post("/api/auth/register").json(&owner).await;
        prepare_data::register(&request, &ctx).await;
        let (_, session) = prepare_data::login(&request).await;
        for next in ["free@example.com", "owner@example.com"] {
            let change = |email: &str| json!({ "email": email, "current_password": PASSWORD });
            post(&request, &session, "/email", &change("other@example.com")).await;
            let link = format!("/api/account/email/{}", token_in_last_email(&ctx));

            post(&request, &session, "/email", &change(next)).await;

            assert_eq!(request.post(&link).await.status_code(), 401, "{next}");
        }
    })
    .await;
}

#[tokio::test]
#[serial]
async fn confirming_one_of_two_simultaneous_requests_cancels_the_other() {
    request::<App, _, _>(|request, ctx| async move {
        let user = prepare_data::register(&request, &ctx).await;
        let (_, session) = prepare_data::login(&request).await;
        let change = json!({ "email": "other@example.com", "current_password": PASSWORD });
        post(&request, &session, "/email", &change).await;
        let link = format!("/api/account/email/{}", token_in_last_email(&ctx));
        let simultaneous = email_changes::ActiveModel {
            email: Set("third@example.com".to_string()),
            token: Set("third".to_string()),
            user_id: Set(user.id),
            ..Default::default()
        };
        simultaneous.insert(&ctx.db).await.expect("a second change");

        assert_eq!(request.post(&link).await.status_code(), 200);

        let pending = email_changes::Entity::find().count(&ctx.db).await;
        assert_eq!(pending.expect("a number"), 0);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn links_sent_to_the_old_address_are_revoked() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (_, session) = prepare_data::login(&request).await;
        let change = json!({ "email": "other@example.com", "current_password": PASSWORD });
        post(&request, &session, "/email", &change).await;
        let link = format!("/api/account/email/{}", token_in_last_email(&ctx));
        prepare_data::request_email(&request, "forgot").await;
        prepare_data::request_email(&request, "magic-link").await;

        assert_eq!(request.post(&link).await.status_code(), 200);

        let user = users::Model::find_by_email(&ctx.db, "other@example.com").await;
        let user = user.expect("the address");
        assert_eq!((user.reset_token, user.magic_link_token), (None, None));
    })
    .await;
}

#[tokio::test]
#[serial]
async fn an_intruders_email_change_is_cancelled_when_the_owner_registers() {
    request::<App, _, _>(|request, ctx| async move {
        let intruder = json!({ "name": "Intruder", "email": EMAIL, "password": "intruder" });
        request.post("/api/auth/register").json(&intruder).await;
        let login: Value = request.post("/api/auth/login").json(&intruder).await.json();
        let token = login["token"].as_str().expect("a token");
        let change = json!({ "email": "evil@example.com", "current_password": "intruder" });
        request
            .post("/api/account/email")
            .add_header("authorization", format!("Bearer {token}"))
            .json(&change)
            .await;
        let link = format!("/api/account/email/{}", token_in_last_email(&ctx));

        let owner = prepare_data::register(&request, &ctx).await;

        assert_ne!(owner.pid.to_string(), login["pid"]);
        assert_eq!(request.post(&link).await.status_code(), 401);
        assert_eq!(stored_user(&ctx).await.email, EMAIL);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn somebody_elses_address_is_not_revealed() {
    request::<App, _, _>(|request, ctx| async move {
        let owner = json!({ "name": "Owner", "email": "owner@example.com", "password": PASSWORD });
        request.post("/api/auth/register").json(&owner).await;
        prepare_data::register(&request, &ctx).await;
        let (_, session) = prepare_data::login(&request).await;
        let body = json!({ "email": "owner@example.com", "current_password": PASSWORD });

        let response = post(&request, &session, "/email", &body).await;

        assert_eq!(response, (200, Value::Null));
        let messages = ctx.mailer.as_ref().expect("a mailer").deliveries().messages;
        let notice = messages.last().expect("an email");
        assert!(notice.contains("You already have an account"), "{notice}");
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_new_password_ends_the_other_sessions() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (_, other) = prepare_data::login(&request).await;
        let (_, here) = prepare_data::login(&request).await;
        let short = json!({ "new_password": "1", "current_password": PASSWORD });
        let body = json!({ "new_password": "another one", "current_password": PASSWORD });

        let (refused, _) = post(&request, &here, "/password", &short).await;
        let (changed, _) = post(&request, &here, "/password", &body).await;

        assert_eq!((refused, changed), (422, 200));
        assert!(stored_user(&ctx).await.verify_password("another one"));
        assert_eq!(email_count(&ctx), 2);
        for ((name, value), status) in [(other, 401), (here, 200)] {
            let account = request.get("/api/account").add_header(name, value);
            assert_eq!(account.await.status_code(), status);
        }
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_session_is_listed_and_can_be_ended() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (_, (_, other)) = prepare_data::login(&request).await;
        let (_, (name, here)) = prepare_data::login(&request).await;
        let list = || {
            request
                .get("/api/account/sessions")
                .add_header(&name, &here)
        };

        let sessions: Vec<Value> = list().await.json();
        assert_eq!(sessions.len(), 2);
        assert_eq!(sessions[0]["is_current"], true);
        let pid = sessions[1]["pid"].as_str().expect("a public id");
        let end = request.delete(&format!("/api/account/sessions/{pid}"));
        assert_eq!(end.add_header(&name, &here).await.status_code(), 200);

        assert_eq!(list().await.json::<Vec<Value>>().len(), 1);
        let account = request.get("/api/account").add_header(&name, other);
        assert_eq!(account.await.status_code(), 401);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn somebody_elses_session_cannot_be_ended() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (_, (name, here)) = prepare_data::login(&request).await;
        let list = request.get("/api/account/sessions");
        let sessions: Vec<Value> = list.add_header(&name, &here).await.json();
        let pid = sessions[0]["pid"].as_str().expect("a public id");
        let other = json!({ "name": "Other", "email": "other@example.com", "password": PASSWORD });
        request.post("/api/auth/register").json(&other).await;
        let login: Value = request.post("/api/auth/login").json(&other).await.json();
        let header = format!("Bearer {}", login["token"].as_str().expect("a token"));

        let end = request.delete(&format!("/api/account/sessions/{pid}"));
        end.add_header("authorization", header).await;

        let account = request.get("/api/account").add_header(name, here);
        assert_eq!(account.await.status_code(), 200);
    })
    .await;
}

#[tokio::test]
#[serial]
async fn a_user_can_change_their_name() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (_, session) = prepare_data::login(&request).await;

        let link = json!({ "name": "a.example" });
        let (refused, _) = post(&request, &session, "/name", &link).await;
        let (changed, _) = post(&request, &session, "/name", &json!({ "name": "Ann" })).await;

        assert_eq!((refused, changed), (422, 200));
        assert_eq!(stored_user(&ctx).await.name, "Ann");
    })
    .await;
}

#[tokio::test]
#[serial]
async fn an_account_can_be_deleted() {
    request::<App, _, _>(|request, ctx| async move {
        prepare_data::register(&request, &ctx).await;
        let (_, session) = prepare_data::login(&request).await;
        let body = json!({ "current_password": PASSWORD });

        let response = post(&request, &session, "/delete", &body).await;

        assert_eq!(response, (200, Value::Null));
        let found = users::Model::find_by_email(&ctx.db, EMAIL).await;
        assert!(users::optional(found).expect("the database").is_none());
        let (name, value) = session;
        let account = request.get("/api/account").add_header(name, value);
        assert_eq!(account.await.status_code(), 401);
    })
    .await;
}
