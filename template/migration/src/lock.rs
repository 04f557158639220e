//! Lets one process migrate at a time. Others that start meanwhile wait, and then find nothing to
//! do.

use std::time::Duration;

use sea_orm_migration::{
    prelude::*,
    sea_orm::{
        sqlx::{self, Connection, PgConnection},
        DatabaseExecutor, RuntimeErr,
    },
};

use crate::Migrator;

/// The key of the advisory lock; any number will do.
const LOCK_KEY: i64 = 20_220_101;

/// The migrator without the lock.
struct Unlocked;

#[async_trait::async_trait]
impl MigratorTrait for Unlocked {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Migrator::migrations()
    }
}

/// Applies pending migrations, one process at a time.
///
/// # Errors
///
/// Returns an error if a migration or the database fails.
pub async fn up(db: DatabaseExecutor<'_>, steps: Option<u32>) -> Result<(), DbErr> {
    // The lock needs a separate connection, because the pool may have only one.
    let DatabaseExecutor::Connection(pool) = &db else {
        return Unlocked::up(db, steps).await;
    };
    let options = pool.get_postgres_connection_pool().connect_options();
    let mut lock = PgConnection::connect_with(&options)
        .await
        .map_err(|err| lock_error(&err))?;
    // Not `pg_advisory_lock`: `CREATE INDEX CONCURRENTLY` would wait forever for its snapshot.
    while !try_lock(&mut lock).await.map_err(|err| lock_error(&err))? {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let migrated = Unlocked::up(db, steps).await;
    // Closing the connection releases the lock.
    drop(lock.close().await);
    migrated
}

async fn try_lock(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(LOCK_KEY)
        .fetch_one(connection)
        .await
}

fn lock_error(err: &sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(format!("migration lock: {err}")))
}
