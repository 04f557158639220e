use loco_rs::{bgworker::JobStatus, prelude::*};

/// Deletes the jobs that are done or cancelled, which the queue keeps.
pub struct JobsTidy;

#[async_trait]
impl Task for JobsTidy {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "jobs:tidy".to_string(),
            detail: "Delete background jobs that are done or cancelled".to_string(),
        }
    }

    async fn run(&self, ctx: &AppContext, _vars: &task::Vars) -> Result<()> {
        let queue = ctx
            .queue_provider
            .as_ref()
            .ok_or_else(|| Error::string("there is no queue: workers.mode is another one"))?;
        queue
            .clear_by_status(vec![JobStatus::Completed, JobStatus::Cancelled])
            .await
    }
}
