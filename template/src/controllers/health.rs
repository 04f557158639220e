//! Whether the process lives, and whether it can answer requests. The routes are Loco's, but the answer
//! names what is missing, and a queue that is away does not take every process out of the balancer.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::StatusCode;
use loco_rs::{
    controller::monitoring::{health, ping},
    prelude::*,
};
use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Statement};
use serde::Serialize;
use tokio::time::timeout;

/// How long the database and the queue have for each answer.
const PATIENCE: Duration = Duration::from_secs(2);
{%- if database == "sqlite" %}
/// Bytes on the disk of the database without which it cannot be written to for long.
const LEAST_SPACE: u64 = 4 << 20;
{%- endif %}

/// What the service needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Need {
    Database,
    /// All migrations of this version have been applied.
    Migrations,
{%- if database == "sqlite" %}
    Disk,
{%- endif %}
    /// For requests that queue a job; the others are answered without it.
    Queue,
}

#[derive(Debug, Serialize)]
struct Readiness {
    ok: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<Need>,
}

async fn readiness(State(ctx): State<AppContext>) -> impl IntoResponse {
    let missing = missing(&ctx).await;
    log(&missing);
    let missing: Vec<Need> = missing.into_iter().map(|(need, _)| need).collect();
    let ok = missing.iter().all(|need| *need == Need::Queue);
    let status = if ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Readiness { ok, missing }))
}

/// What is missing, and how that shows.
async fn missing(ctx: &AppContext) -> Vec<(Need, Error)> {
    let (mut checks, queue) = tokio::join!(check_database(&ctx.db), check_queue(ctx));
    checks.push((Need::Queue, queue));
    let is_missing = |(need, check): (Need, Result<()>)| Some((need, check.err()?));
    checks.into_iter().filter_map(is_missing).collect()
}

async fn check_database(db: &DatabaseConnection) -> Vec<(Need, Result<()>)> {
    let database = in_time(db.ping()).await;
    let mut checks = Vec::new();
    // Without it, nothing is known of the rest.
    if database.is_ok() {
        checks.push((Need::Migrations, in_time(migrations(db)).await));
{%- if database == "sqlite" %}
        checks.push((Need::Disk, in_time(disk(db)).await));
{%- endif %}
    }
    checks.push((Need::Database, database));
    checks
}

async fn check_queue(ctx: &AppContext) -> Result<()> {
    match &ctx.queue_provider {
        Some(queue) => in_time(queue.ping()).await,
        None => Ok(()),
    }
}

async fn in_time<E: Into<Error>>(check: impl Future<Output = Result<(), E>>) -> Result<()> {
    timeout(PATIENCE, check).await.map_or_else(
        |_| Err(Error::string(&format!("no answer in {PATIENCE:?}"))),
        |result| result.map_err(Into::into),
    )
}

async fn migrations(db: &DatabaseConnection) -> Result<()> {
    let applied = Statement::from_string(
        db.get_database_backend(),
        "SELECT version FROM seaql_migrations",
    );
    let applied = db.query_all_raw(applied).await?;
    let applied = applied
        .iter()
        .map(|row| row.try_get("", "version"))
        .collect::<Result<Vec<String>, _>>()?;
    let is_pending = |name: &str| applied.iter().all(|applied| applied != name);
    for migration in Migrator::migrations() {
        if is_pending(migration.name()) {
            let name = migration.name();
            return Err(Error::Message(format!("{name} is pending")));
        }
    }
    Ok(())
}
{%- if database == "sqlite" %}

async fn disk(db: &DatabaseConnection) -> Result<()> {
    let file = Statement::from_string(
        db.get_database_backend(),
        "SELECT file FROM pragma_database_list WHERE name = 'main'",
    );
    let row = db.query_one_raw(file).await?;
    let file: String = row.map_or(Ok(String::new()), |row| row.try_get("", "file"))?;
    // It has none in memory.
    if !file.is_empty() && fs4::available_space(&file)? < LEAST_SPACE {
        return Err(Error::Message(format!("the disk of {file} is full")));
    }
    Ok(())
}
{%- endif %}

/// Logs what is missing where that has changed: the question comes every few seconds.
fn log(missing: &[(Need, Error)]) {
    static LOGGED: Mutex<Vec<Need>> = Mutex::new(Vec::new());

    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    for (need, err) in missing {
        if !logged.contains(need) {
            tracing::error!(?need, %err, "a dependency is missing");
        }
    }
    for need in logged.iter() {
        if !missing.iter().any(|(still, _)| still == need) {
            tracing::info!(?need, "a dependency is there again");
        }
    }
    *logged = missing.iter().map(|(need, _)| *need).collect();
}

pub fn routes() -> Routes {
    Routes::new()
        .add("/_readiness", get(readiness))
        .add("/_ping", get(ping))
        .add("/_health", get(health))
}
