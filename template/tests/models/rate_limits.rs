use loco_rs::testing::prelude::*;
use rstest::rstest;
use serial_test::serial;

use {{crate_name}}::{
    app::App,
    models::rate_limits::{Limit, Model},
};

#[rstest]
#[case(Limit { attempts: 2, seconds: 60 }, [false, false, true, true])]
#[case(Limit { attempts: 2, seconds: 0 }, [false; 4])]
#[case(Limit { attempts: 0, seconds: 60 }, [false; 4])]
#[tokio::test]
#[serial]
async fn attempts_within_the_limit_are_allowed(#[case] limit: Limit, #[case] exceeded: [bool; 4]) {
    let boot = boot_test::<App>().await.expect("the service boots");

    for is_exceeded in exceeded {
        let retry_after = Model::record_attempt(&boot.app_context.db, "key", limit).await;
        assert_eq!(retry_after.expect("it is counted").is_some(), is_exceeded);
    }
    let other = Model::record_attempt(&boot.app_context.db, "other", limit).await;
    assert_eq!(other.expect("it is counted"), None);
}

#[tokio::test]
#[serial]
async fn a_counter_can_be_reset() {
    let boot = boot_test::<App>().await.expect("the service boots");
    let db = &boot.app_context.db;
    let limit = Limit {
        attempts: 1,
        seconds: 60,
    };

    Model::record_attempt(db, "key", limit)
        .await
        .expect("it is counted");
    let wait = Model::record_attempt(db, "key", limit).await;
    let wait = wait.expect("it is counted").expect("it exceeds the limit");
    assert!((1..=60).contains(&wait), "{wait}");
    Model::reset(db, "key").await.expect("it is reset");

    let retry_after = Model::record_attempt(db, "key", limit).await;
    assert_eq!(retry_after.expect("it is counted"), None);
}
