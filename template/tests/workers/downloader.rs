use loco_rs::{bgworker::BackgroundWorker, testing::prelude::*};
use serial_test::serial;

use {{crate_name}}::{
    app::App,
    workers::downloader::{DownloadWorker, DownloadWorkerArgs},
};

#[tokio::test]
#[serial]
async fn a_download_can_be_queued() {
    let boot = boot_test::<App>().await.expect("the service boots");

    let args = DownloadWorkerArgs {
        user_guid: "11111111-1111-1111-1111-111111111111".to_string(),
    };

    DownloadWorker::perform_later(&boot.app_context, args)
        .await
        .expect("the job is queued");
}
