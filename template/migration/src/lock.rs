//! Lets one process migrate at a time: those that start beside it wait, and find nothing left to do.

use std::time::Duration;

use sea_orm_migration::{
    prelude::*,
    sea_orm::{
        sqlx::{self, Connection, PgConnection},
        DatabaseExecutor, RuntimeErr,
    },
};

use crate::Migrator;

/// What all processes lock: any number will do.
const KEY: i64 = 20_220_101;

/// The migrations, without the lock.
struct Unlocked;

#[async_trait::async_trait]
impl MigratorTrait for Unlocked {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Migrator::migrations()
    }
}

/// Applies pending migrations while no other process does.
///
/// # Errors
///
/// When a migration or the database fails.
pub async fn up(db: DatabaseExecutor<'_>, steps: Option<u32>) -> Result<(), DbErr> {
    // On a connection of its own, since the pool may have just one.
    let DatabaseExecutor::Connection(pool) = &db else {
        return Unlocked::up(db, steps).await;
    };
    let options = pool.get_postgres_connection_pool().connect_options();
    let mut lock = PgConnection::connect_with(&options)
        .await
        .map_err(|err| failed(&err))?;
    // Not `pg_advisory_lock`: for its snapshot, `CREATE INDEX CONCURRENTLY` would wait for ever.
    while !try_lock(&mut lock).await.map_err(|err| failed(&err))? {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let migrated = Unlocked::up(db, steps).await;
    // The end of the connection is that of the lock.
    drop(lock.close().await);
    migrated
}

async fn try_lock(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(KEY)
        .fetch_one(connection)
        .await
}

fn failed(err: &sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(format!(
        "the lock of migrations: {err}"
    )))
}
