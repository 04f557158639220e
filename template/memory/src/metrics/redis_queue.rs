//! Background jobs in Redis. Those that have ended are not counted, as each would have to be read.

use loco_rs::{bgworker::redis::get_queues, config::RedisQueueConfig, Error, Result};
use redis::{pipe, Client};

use super::jobs::Counts;

pub const STATUSES: [&str; 2] = ["queued", "processing"];

/// Counts the jobs: Loco keeps the queued ones in sorted sets, and those in progress in sets.
///
/// # Errors
///
/// If Redis cannot be reached.
pub async fn count(queue: &RedisQueueConfig) -> Result<Counts> {
    let client = Client::open(queue.uri.as_str()).map_err(Error::wrap)?;
    let connection = client.get_multiplexed_async_connection().await;
    let mut connection = connection.map_err(Error::wrap)?;
    let mut lengths = pipe();
    for name in get_queues(&queue.queues) {
        lengths
            .zcard(format!("queue:{name}"))
            .scard(format!("processing:{name}"));
    }
    let lengths = lengths.query_async(&mut connection).await;
    let lengths: Vec<u32> = lengths.map_err(Error::wrap)?;
    let counts = STATUSES.iter().enumerate().map(|(index, status)| {
        let lengths = lengths.iter().skip(index).step_by(STATUSES.len());
        let jobs = lengths.map(|length| f64::from(*length)).sum();
        ((*status).to_string(), jobs)
    });
    Ok(counts.collect())
}
