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
async fn so_many_attempts_in_a_time_are_not_too_many(
    #[case] limit: Limit,
    #[case] too_many: [bool; 4],
) {
    let boot = boot_test::<App>().await.expect("the service boots");

    for is_too_many in too_many {
        let counted = Model::count(&boot.app_context.db, "key", limit).await;
        assert_eq!(counted.expect("it is counted").is_some(), is_too_many);
    }
    let other = Model::count(&boot.app_context.db, "other", limit).await;
    assert_eq!(other.expect("it is counted"), None);
}

#[tokio::test]
#[serial]
async fn what_was_counted_can_be_forgotten() {
    let boot = boot_test::<App>().await.expect("the service boots");
    let db = &boot.app_context.db;
    let limit = Limit {
        attempts: 1,
        seconds: 60,
    };

    Model::count(db, "key", limit).await.expect("it is counted");
    let wait = Model::count(db, "key", limit).await;
    let wait = wait.expect("it is counted").expect("it is too many");
    assert!((1..=60).contains(&wait), "{wait}");
    Model::reset(db, "key").await.expect("it is forgotten");

    let counted = Model::count(db, "key", limit).await;
    assert_eq!(counted.expect("it is counted"), None);
}
