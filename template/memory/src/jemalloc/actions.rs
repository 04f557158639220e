//! What operators can do to jemalloc without a restart.

use std::sync::Arc;

use axum::{
    extract::{
        rejection::{JsonRejection, QueryRejection},
        Query, State,
    },
    http::StatusCode,
    routing::{get, post},
    Json, Router,
};
use loco_rs::prelude::*;
use serde::Deserialize;
use tikv_jemalloc_ctl::stats_print::{stats_print, Options};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::decay::{Decay, DecayUpdate};
use crate::{
    listener::{AdminError, AdminResult},
    purge::{purge, Purged},
};

/// Runs one action at a time, as each holds locks of the allocator and takes CPU time from
/// requests.
#[derive(Clone)]
pub struct Exclusive(Arc<Semaphore>);

impl Default for Exclusive {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Exclusive {
    /// Runs `work` on a blocking thread, unless another action is running. It is completed even if
    /// the caller goes away.
    ///
    /// # Errors
    ///
    /// 409 if another action is running, or the error of the work itself.
    pub async fn run<T, E>(
        &self,
        work: impl FnOnce() -> std::result::Result<T, E> + Send + 'static,
    ) -> AdminResult<T>
    where
        T: Send + 'static,
        E: Into<AdminError> + Send + 'static,
    {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else {
            return Err(AdminError::new(
                StatusCode::CONFLICT,
                "conflict",
                "Another action on the allocator is in progress: try again when it is done",
            ));
        };
        spawn_blocking(move || {
            let _permit = permit;
            work()
        })
        .await
        .map_err(|err| AdminError::from(Error::msg(err)))?
        .map_err(Into::into)
    }
}

pub fn routes() -> Router {
    Router::new()
        .route("/memory/stats", get(stats))
        .route("/memory/purge", post(purge_now))
        .route("/memory/decay", get(decay).put(set_decay))
        .with_state(Exclusive::default())
}

pub fn malformed(status: StatusCode, reason: String) -> AdminError {
    AdminError::new(status, "Bad Request", reason)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatsQuery {
    #[serde(default)]
    format: Format,
}

async fn stats(
    State(exclusive): State<Exclusive>,
    query: std::result::Result<Query<StatsQuery>, QueryRejection>,
) -> AdminResult<Response> {
    let Query(StatsQuery { format }) =
        query.map_err(|rejection| malformed(rejection.status(), rejection.body_text()))?;
    let json_format = matches!(format, Format::Json);
    let stats = exclusive.run(move || full_stats(json_format)).await?;
    let content_type = if json_format {
        "application/json"
    } else {
        "text/plain; charset=utf-8"
    };
    Ok(([(axum::http::header::CONTENT_TYPE, content_type)], stats).into_response())
}

/// All of jemalloc's statistics, by arena and by size.
///
/// # Errors
///
/// If jemalloc's output cannot be read.
pub fn full_stats(json_format: bool) -> Result<Vec<u8>> {
    let mut options = Options::default();
    options.json_format = json_format;
    let mut stats = Vec::new();
    stats_print(&mut stats, options)?;
    Ok(stats)
}

async fn purge_now(State(exclusive): State<Exclusive>) -> AdminResult<Json<Purged>> {
    let purged = exclusive.run(purge).await?;
    tracing::info!(
        returned_bytes = purged.returned_bytes,
        rss_bytes = purged.rss_after_bytes,
        took_ms = purged.took_ms,
        "memory purged"
    );
    Ok(Json(purged))
}

async fn decay() -> AdminResult<Json<Decay>> {
    Ok(Json(Decay::read()?))
}

async fn set_decay(
    State(exclusive): State<Exclusive>,
    body: std::result::Result<Json<DecayUpdate>, JsonRejection>,
) -> AdminResult<Json<Decay>> {
    let Json(update) =
        body.map_err(|rejection| malformed(rejection.status(), rejection.body_text()))?;
    let decay = exclusive
        .run(move || {
            update.apply().map_err(|err| match err {
                Error::BadRequest(reason) => malformed(StatusCode::BAD_REQUEST, reason),
                other => other.into(),
            })
        })
        .await?;
    tracing::info!(
        dirty_decay_ms = decay.dirty_decay_ms,
        muzzy_decay_ms = decay.muzzy_decay_ms,
        "memory decay changed"
    );
    Ok(Json(decay))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_second_call_is_refused_until_the_first_is_done() {
        let exclusive = Exclusive::default();
        let (start, started) = oneshot::channel();
        let (release, released) = mpsc::channel();
        let first = tokio::spawn({
            let exclusive = exclusive.clone();
            async move {
                exclusive
                    .run(move || {
                        start.send(()).expect("the test waits");
                        released.recv().map_err(Error::wrap)
                    })
                    .await
            }
        });
        started.await.expect("the first is under way");

        let second = exclusive.run(|| Ok::<_, Error>(())).await;

        let error = second.expect_err("it is refused").into_response();
        assert_eq!(error.status(), StatusCode::CONFLICT);
        release.send(()).expect("the first waits");
        assert!(first.await.expect("no panic").is_ok());
        assert!(exclusive.run(|| Ok::<_, Error>(())).await.is_ok());
    }
}
