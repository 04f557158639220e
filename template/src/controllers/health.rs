//! Liveness and readiness checks. The routes are Loco's, but the response names what is missing,
//! and an unavailable queue does not take every process out of the load balancer.

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

/// How long the database and the queue may take to answer each check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
{%- if database == "sqlite" %}
/// Free bytes on the database's disk below which writes are about to fail.
const MIN_FREE_SPACE: u64 = 4 << 20;
{%- endif %}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize{{to_schema}})]
#[serde(rename_all = "lowercase")]
pub enum Dependency {
    Database,
    /// Whether all migrations of this version have been applied.
    Migrations,
{%- if database == "sqlite" %}
    Disk,
{%- endif %}
    /// Needed only by requests that queue a job, so the process stays ready without it.
    Queue,
}

#[derive(Debug, Serialize{{to_schema}})]
pub struct Readiness {
    ok: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<Dependency>,
}

async fn readiness(State(ctx): State<AppContext>) -> impl IntoResponse {
    let missing = missing(&ctx).await;
    log_changes(&missing);
    let missing: Vec<Dependency> = missing.into_iter().map(|(name, _)| name).collect();
    let ok = missing.iter().all(|name| *name == Dependency::Queue);
    let status = if ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Readiness { ok, missing }))
}

/// The unavailable dependencies, each with the error of its check.
async fn missing(ctx: &AppContext) -> Vec<(Dependency, Error)> {
    let (mut checks, queue) = tokio::join!(check_database(&ctx.db), check_queue(ctx));
    checks.push((Dependency::Queue, queue));
    let failed = |(dependency, check): (_, Result<()>)| Some((dependency, check.err()?));
    checks.into_iter().filter_map(failed).collect()
}

async fn check_database(db: &DatabaseConnection) -> Vec<(Dependency, Result<()>)> {
    let database = with_timeout(db.ping()).await;
    let mut checks = Vec::new();
    // The other checks query the database, too.
    if database.is_ok() {
        let migrations = with_timeout(check_migrations(db)).await;
        checks.push((Dependency::Migrations, migrations));
{%- if database == "sqlite" %}
        checks.push((Dependency::Disk, with_timeout(check_disk(db)).await));
{%- endif %}
    }
    checks.push((Dependency::Database, database));
    checks
}

async fn check_queue(ctx: &AppContext) -> Result<()> {
    match &ctx.queue_provider {
        Some(queue) => with_timeout(queue.ping()).await,
        None => Ok(()),
    }
}

async fn with_timeout<E: Into<Error>>(check: impl Future<Output = Result<(), E>>) -> Result<()> {
    timeout(CHECK_TIMEOUT, check).await.map_or_else(
        |_| Err(Error::string(&format!("timed out after {CHECK_TIMEOUT:?}"))),
        |result| result.map_err(Into::into),
    )
}

async fn check_migrations(db: &DatabaseConnection) -> Result<()> {
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

async fn check_disk(db: &DatabaseConnection) -> Result<()> {
    let file = Statement::from_string(
        db.get_database_backend(),
        "SELECT file FROM pragma_database_list WHERE name = 'main'",
    );
    let row = db.query_one_raw(file).await?;
    let file: String = row.map_or(Ok(String::new()), |row| row.try_get("", "file"))?;
    // An in-memory database has no file.
    if !file.is_empty() && fs4::available_space(&file)? < MIN_FREE_SPACE {
        return Err(Error::Message(format!("the disk of {file} is full")));
    }
    Ok(())
}
{%- endif %}

/// Logs only changes, because the readiness probe runs every few seconds.
fn log_changes(missing: &[(Dependency, Error)]) {
    static LOGGED: Mutex<Vec<Dependency>> = Mutex::new(Vec::new());

    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    for (dependency, err) in missing {
        if !logged.contains(dependency) {
            tracing::error!(?dependency, %err, "dependency unavailable");
        }
    }
    for dependency in logged.iter() {
        if !missing.iter().any(|(still, _)| still == dependency) {
            tracing::info!(?dependency, "dependency available again");
        }
    }
    *logged = missing.iter().map(|(dependency, _)| *dependency).collect();
}

pub fn routes() -> Routes {
    Routes::new()
        .add("/_readiness", get(readiness))
        .add("/_ping", get(ping))
        .add("/_health", get(health))
}
