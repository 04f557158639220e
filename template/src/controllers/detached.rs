use std::future::Future;

use loco_rs::prelude::*;
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::{mailers::language::Language, models::users};

/// Does work to its end, even if the client goes away while it is done.
///
/// # Errors
///
/// When the work fails, or panics.
pub fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> impl Future<Output = Result<T>> + Send {
    let done = spawn(work);
    async { done.await.map_err(Error::wrap)? }
}

/// Does work of whose result a client is to learn nothing, not even by the time that it takes: after
/// the answer (`mail_after_answer` in `settings.accounts`). What fails is in the log.
///
/// # Errors
///
/// When the work is done before the answer, and fails.
pub fn after_the_answer(
    work: impl Future<Output = Result<()>> + Send + 'static,
) -> impl Future<Output = Result<()>> + Send {
    let done = spawn(async {
        let result = work.await;
        if let Err(err) = &result {
            tracing::error!(%err, "after the answer");
        }
        result
    });
    async {
        if users::settings().mail_after_answer {
            return Ok(());
        }
        done.await.map_err(Error::wrap)?
    }
}

fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(Language::current().scope(work.in_current_span()))
}
