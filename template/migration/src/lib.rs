#![allow(elided_lifetimes_in_paths, clippy::wildcard_imports)] // the style of SeaORM's migrations

pub use sea_orm_migration::prelude::*;
{%- if database == "postgres" %}

mod lock;
{%- endif %}

mod m20220101_000001_users;
mod m20261126_000001_unique_emails;
mod m20261126_000002_sessions;
mod m20261126_000003_rate_limits;
mod m20261126_000004_used_links;
mod m20261126_000005_email_changes;
mod m20261127_000001_indexes;

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20220101_000001_users::Migration),
            Box::new(m20261126_000001_unique_emails::Migration),
            Box::new(m20261126_000002_sessions::Migration),
            Box::new(m20261126_000003_rate_limits::Migration),
            Box::new(m20261126_000004_used_links::Migration),
            Box::new(m20261126_000005_email_changes::Migration),
            Box::new(m20261127_000001_indexes::Migration),
            // inject-above (do not remove this comment)
        ]
    }
{%- if database == "postgres" %}

    async fn up<'c, C>(db: C, steps: Option<u32>) -> Result<(), DbErr>
    where
        C: IntoSchemaManagerConnection<'c>,
    {
        lock::up(db.into_database_executor(), steps).await
    }
{%- endif %}
}
