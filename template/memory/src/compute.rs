//! CPU-bound work.

use std::sync::LazyLock;

use loco_rs::{Error, Result};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::cores;

/// One per core, since more would only take memory.
static PERMITS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(cores()));

/// Runs CPU-bound work apart from the threads that serve requests.
///
/// Use it for anything that takes more than a few milliseconds, such as hashing a password. As many
/// calls as there are cores run at once; the others wait their turn in order of arrival.
///
/// # Errors
///
/// If the work panics.
pub async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let permit = PERMITS.acquire().await.map_err(Error::wrap)?;
    let done = spawn_blocking(move || {
        // The work continues even if its caller is dropped.
        let _permit = permit;
        work()
    });
    done.await.map_err(Error::wrap)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    };

    use super::*;

    #[tokio::test]
    async fn no_more_is_done_at_once_than_there_are_cores() {
        let cores = PERMITS.available_permits();
        let at_once = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let all: Vec<_> = (0..4 * cores)
            .map(|_| {
                let (at_once, most) = (at_once.clone(), most.clone());
                tokio::spawn(compute(move || {
                    most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    at_once.fetch_sub(1, Ordering::SeqCst);
                }))
            })
            .collect();
        for one in all {
            one.await.expect("no panic").expect("it is done");
        }

        assert_eq!(most.load(Ordering::SeqCst), cores);
        assert!(compute(|| panic!("on purpose"))
            .await
            .map(|(): ()| ())
            .is_err());
    }
}
