//! The database's connection pool.

use metrics::describe_gauge;
use sea_orm::{DatabaseConnection, DbBackend};

use super::set;

pub fn describe() {
    for (name, help) in [
        ("database_connections", "Open connections of the pool."),
        ("database_connections_idle", "Idle connections of the pool."),
        (
            "database_connections_max",
            "The most connections that the pool may open.",
        ),
    ] {
        describe_gauge!(name, help);
    }
}

pub fn read(db: &DatabaseConnection) {
    let (open, idle, max) = match db.get_database_backend() {
        DbBackend::Postgres => {
            let pool = db.get_postgres_connection_pool();
            (
                pool.size(),
                pool.num_idle(),
                pool.options().get_max_connections(),
            )
        }
        #[cfg(feature = "db-sqlite")]
        DbBackend::Sqlite => {
            let pool = db.get_sqlite_connection_pool();
            (
                pool.size(),
                pool.num_idle(),
                pool.options().get_max_connections(),
            )
        }
        _ => return,
    };
    set("database_connections", open.into());
    set("database_connections_idle", idle as u64);
    set("database_connections_max", max.into());
}
