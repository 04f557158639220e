//! Background jobs in the queue. Loco has no way to count them, so its table is queried.

use std::time::Duration;

use loco_rs::config::{Config, QueueConfig};
use metrics::{describe_gauge, gauge};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, Statement};
use tokio::{sync::OnceCell, time::timeout};

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
    /// Counts the jobs. The figures are NaN while the queue cannot be queried. Not for Redis, which
    /// cannot count jobs cheaply.
    pub async fn read(&self, config: &Config) {
        let (uri, table) = match &config.queue {
            Some(QueueConfig::Postgres(queue)) => (&queue.uri, "pg_loco_queue"),
            #[cfg(feature = "db-sqlite")]
            Some(QueueConfig::Sqlite(queue)) => (&queue.uri, "sqlt_loco_queue"),
            _ => return,
        };
        let counts = match timeout(QUERY_TIMEOUT, self.count(uri, table)).await {
            Ok(Ok(counts)) => Some(counts),
            Ok(Err(err)) => {
                tracing::warn!(%err, "cannot count the jobs in the queue");
                None
            }
            Err(err) => {
                tracing::warn!(%err, "cannot count the jobs in the queue");
                None
            }
        };
        for status in STATUSES {
            let jobs = counts.as_ref().map_or(f64::NAN, |counts| {
                counts
                    .iter()
                    .find(|(name, _)| name == status)
                    .map_or(0.0, |(_, jobs)| *jobs)
            });
            gauge!(JOBS, "status" => status).set(jobs);
        }
    }

    #[allow(clippy::cast_precision_loss)] // a float is exact up to 9 · 10^15 jobs
    async fn count(&self, uri: &str, table: &str) -> Result<Vec<(String, f64)>, DbErr> {
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
