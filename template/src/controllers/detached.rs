use std::{future::Future, sync::LazyLock};

use loco_rs::prelude::*;
use tokio::{sync::watch, task::JoinHandle};
use tracing::Instrument;

use crate::{mailers::language::Language, models::users};

/// The number of detached tasks that are still running.
static ACTIVE: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// Runs the work to completion even if the client disconnects.
///
/// # Errors
///
/// Returns an error if the work fails or panics.
pub fn run_to_completion<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> impl Future<Output = Result<T>> + Send {
    let task = spawn(work);
    async { task.await.map_err(Error::wrap)? }
}

/// Runs the work without delaying the response (`mail_after_answer` in `settings.accounts`), so the
/// client cannot infer the result from the response time either. Errors are logged.
///
/// # Errors
///
/// Returns an error if the setting is off and the work fails or panics.
pub fn after_response(
    work: impl Future<Output = Result<()>> + Send + 'static,
) -> impl Future<Output = Result<()>> + Send {
    let task = spawn(async {
        let result = work.await;
        if let Err(err) = &result {
            tracing::error!(%err, "detached work failed");
        }
        result
    });
    async {
        if users::settings().mail_after_answer {
            return Ok(());
        }
        task.await.map_err(Error::wrap)?
    }
}

/// Waits for all detached work, so the process does not exit before it is done.
pub async fn wait_for_all() {
    let mut active = ACTIVE.subscribe();
    // This cannot fail: the sender is never dropped.
    drop(active.wait_for(|count| *count == 0).await);
}

fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let active = ActiveTask::new();
    // Created here, within the request's span, which the task itself does not have.
    let work = work.instrument(tracing::error_span!("detached"));
    tokio::spawn(Language::current().scope(async move {
        let _active = active;
        work.await
    }))
}

/// Counts a task as active until dropped.
struct ActiveTask;

impl ActiveTask {
    fn new() -> Self {
        ACTIVE.send_modify(|count| *count += 1);
        Self
    }
}

impl Drop for ActiveTask {
    fn drop(&mut self) {
        ACTIVE.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        time::Duration,
    };

    use super::*;

    #[tokio::test]
    async fn work_after_the_response_is_awaited() {
        static IS_DONE: AtomicBool = AtomicBool::new(false);
        let response = after_response(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            IS_DONE.store(true, Ordering::Relaxed);
            Ok(())
        });
        response.await.expect("it is running");
        assert!(!IS_DONE.load(Ordering::Relaxed));

        wait_for_all().await;

        assert!(IS_DONE.load(Ordering::Relaxed));
    }
}
