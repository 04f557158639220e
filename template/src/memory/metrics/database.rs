//! The pool of database connections.

use metrics::describe_gauge;
use sea_orm::DatabaseConnection;

use super::set;

pub fn describe() {
    for (name, help) in [
        ("database_connections", "Open connections of the pool."),
        (
            "database_connections_idle",
            "Connections of the pool that nobody uses.",
        ),
        (
            "database_connections_max",
            "How many connections the pool may open.",
        ),
    ] {
        describe_gauge!(name, help);
    }
}

pub fn read(db: &DatabaseConnection) {
{%- if database == "sqlite" %}
    let pool = db.get_sqlite_connection_pool();
{%- else %}
    let pool = db.get_postgres_connection_pool();
{%- endif %}
    set("database_connections", pool.size().into());
    set("database_connections_idle", pool.num_idle() as u64);
    set(
        "database_connections_max",
        pool.options().get_max_connections().into(),
    );
}
