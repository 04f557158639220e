use std::{future::Future, sync::LazyLock};

use loco_rs::prelude::*;
use tokio::{sync::watch, task::JoinHandle};
use tracing::Instrument;

use crate::{mailers::language::Language, models::users};

/// How much of it is being done.
static UNDER_WAY: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

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

/// Waits until all work is done that no client waits for: the process is not to end before.
pub async fn all_done() {
    let mut under_way = UNDER_WAY.subscribe();
    // The sender is never dropped.
    drop(under_way.wait_for(|count| *count == 0).await);
}

fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let under_way = UnderWay::new();
    tokio::spawn(Language::current().scope(async move {
        let _under_way = under_way;
        work.in_current_span().await
    }))
}

/// Work that is being done, until this is dropped.
struct UnderWay;

impl UnderWay {
    fn new() -> Self {
        UNDER_WAY.send_modify(|count| *count += 1);
        Self
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.send_modify(|count| *count -= 1);
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
    async fn what_goes_on_after_the_answer_is_waited_for() {
        static IS_DONE: AtomicBool = AtomicBool::new(false);
        let answer = after_the_answer(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            IS_DONE.store(true, Ordering::Relaxed);
            Ok(())
        });
        answer.await.expect("it is under way");
        assert!(!IS_DONE.load(Ordering::Relaxed));

        all_done().await;

        assert!(IS_DONE.load(Ordering::Relaxed));
    }
}
