use loco_rs::{bgworker::JobStatus, prelude::*};

/// Days after which a job that has failed, or that no worker has finished, is deleted. Until then it can
/// be run again, and one whose worker is unknown is queued again and again.
const KEPT_DAYS: i64 = 14;

/// Deletes the jobs that the queue keeps and nobody needs any more.
pub struct JobsTidy;

#[async_trait]
impl Task for JobsTidy {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "jobs:tidy".to_string(),
            detail: format!(
                "Delete background jobs that are done or cancelled, and after {KEPT_DAYS} days those \
                 that failed or that no worker finishes"
            ),
        }
    }

    async fn run(&self, ctx: &AppContext, _vars: &task::Vars) -> Result<()> {
        let queue = ctx
            .queue_provider
            .as_ref()
            .ok_or_else(|| Error::string("there is no queue: workers.mode is another one"))?;
        queue
            .clear_by_status(vec![JobStatus::Completed, JobStatus::Cancelled])
            .await?;
        let unfinished = vec![JobStatus::Failed, JobStatus::Processing];
        queue.clear_jobs_older_than(KEPT_DAYS, &unfinished).await
    }
}
