//! Background jobs in the queue. Loco has no way to count them, so the queue itself is queried.

use std::{future::Future, time::Duration};

use loco_rs::{
    config::{Config, QueueConfig},
    Error, Result,
};
use metrics::{describe_gauge, gauge};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};
use tokio::{sync::OnceCell, time::timeout};

#[cfg(feature = "redis-queue")]
use super::redis_queue;

const JOBS: &str = "background_jobs";
const STATUSES: [&str; 5] = ["queued", "processing", "completed", "failed", "cancelled"];
/// Metrics do not wait longer than this for a slow queue.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);

/// The queue's database, with a separate connection.
#[derive(Default)]
pub struct Jobs(OnceCell<DatabaseConnection>);

pub fn describe() {
    describe_gauge!(JOBS, "Jobs in the queue, by status.");
}

impl Jobs {
    /// Counts the jobs. The figures are NaN while the queue cannot be queried.
    pub async fn read(&self, config: &Config) {
        match &config.queue {
            Some(QueueConfig::Postgres(queue)) => {
                set(&STATUSES, self.count(&queue.uri, "pg_loco_queue")).await;
            }
            #[cfg(feature = "db-sqlite")]
            Some(QueueConfig::Sqlite(queue)) => {
                set(&STATUSES, self.count(&queue.uri, "sqlt_loco_queue")).await;
            }
            #[cfg(feature = "redis-queue")]
            Some(QueueConfig::Redis(queue)) => {
                set(&redis_queue::STATUSES, redis_queue::count(queue)).await;
            }
            _ => {}
        }
    }

    #[allow(clippy::cast_precision_loss)] // a float is exact up to 9 · 10^15 jobs
    async fn count(&self, uri: &str, table: &str) -> Result<Counts> {
        let queue = self
            .0
            .get_or_try_init(|| {
                let mut options = ConnectOptions::new(uri);
                options.max_connections(1).sqlx_logging(false);
                Database::connect(options)
            })
            .await?;
        let count = format!("SELECT status, COUNT(*) AS jobs FROM {table} GROUP BY status");
        let statement = Statement::from_string(queue.get_database_backend(), count);
        queue
            .query_all_raw(statement)
            .await?
            .iter()
            .map(|row| {
                let jobs: i64 = row.try_get("", "jobs")?;
                Ok((row.try_get("", "status")?, jobs as f64))
            })
            .collect()
    }
}

/// Jobs by status.
pub type Counts = Vec<(String, f64)>;

async fn set(statuses: &[&'static str], count: impl Future<Output = Result<Counts>>) {
    let counts = timeout(QUERY_TIMEOUT, count).await.map_err(Error::wrap);
    let counts = match counts.flatten() {
        Ok(counts) => Some(counts),
        Err(err) => {
            tracing::warn!(%err, "cannot count the jobs in the queue");
            None
        }
    };
    for status in statuses {
        let jobs = counts.as_ref().map_or(f64::NAN, |counts| {
            counts
                .iter()
                .find(|(name, _)| name == status)
                .map_or(0.0, |(_, jobs)| *jobs)
        });
        gauge!(JOBS, "status" => *status).set(jobs);
    }
}
