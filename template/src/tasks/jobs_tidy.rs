use loco_rs::{bgworker::JobStatus, prelude::*};

/// Days to keep jobs that failed or that no worker finished. Until then they can be retried, and
/// those without a registered worker are requeued over and over.
const RETENTION_DAYS: i64 = 14;

/// Deletes jobs from the queue that are no longer needed.
pub struct JobsTidy;

#[async_trait]
impl Task for JobsTidy {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "jobs:tidy".to_string(),
            detail: format!(
                "Delete background jobs that are completed or cancelled, and after {RETENTION_DAYS} \
                 days those that failed or that no worker finished"
            ),
        }
    }

    async fn run(&self, ctx: &AppContext, _vars: &task::Vars) -> Result<()> {
        let queue = ctx.queue_provider.as_ref().ok_or_else(|| {
            Error::string("there is no queue: workers.mode is not BackgroundQueue")
        })?;
        queue
            .clear_by_status(vec![JobStatus::Completed, JobStatus::Cancelled])
            .await?;
        let unfinished = vec![JobStatus::Failed, JobStatus::Processing];
        queue
            .clear_jobs_older_than(RETENTION_DAYS, &unfinished)
            .await
    }
}
