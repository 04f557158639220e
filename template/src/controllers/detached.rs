use std::future::Future;

use loco_rs::prelude::*;
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::models::users;

/// Does work to its end, even if the client goes away while it is done.
///
/// # Errors
///
/// When the work fails, or panics.
pub async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    spawn(work).await.map_err(Error::wrap)?
}

/// Does work of whose result a client is to learn nothing, not even by the time that it takes: after
/// the answer (`mail_after_answer` in `settings.accounts`). What fails is in the log.
///
/// # Errors
///
/// When the work is done before the answer, and fails.
pub async fn after_the_answer(
    work: impl Future<Output = Result<()>> + Send + 'static,
) -> Result<()> {
    if !users::settings().mail_after_answer {
        return work.await;
    }
    drop(spawn(async {
        if let Err(err) = work.await {
            tracing::error!(%err, "after the answer");
        }
    }));
    Ok(())
}

fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(work.in_current_span())
}
