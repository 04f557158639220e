use loco_rs::prelude::*;
use serde::{Deserialize, Serialize};

/// An example of a background job. Add more with `cargo loco generate worker`.
pub struct DownloadWorker {
    pub ctx: AppContext,
}

#[derive(Debug, Deserialize, Serialize)]
pub struct DownloadWorkerArgs {
    pub user_guid: String,
}

#[async_trait]
impl BackgroundWorker<DownloadWorkerArgs> for DownloadWorker {
    fn build(ctx: &AppContext) -> Self {
        Self { ctx: ctx.clone() }
    }

    async fn perform(&self, args: DownloadWorkerArgs) -> Result<()> {
        tracing::info!(user_guid = args.user_guid, "download");
        Ok(())
    }
}
