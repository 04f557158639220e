#![allow(elided_lifetimes_in_paths, clippy::wildcard_imports)] // as SeaORM's migrations are written

pub use sea_orm_migration::prelude::*;

mod m20220101_000001_users;

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20220101_000001_users::Migration),
            // inject-above (do not remove this comment)
        ]
    }
}
