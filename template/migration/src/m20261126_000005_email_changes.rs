use loco_rs::schema::*;
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            ("id", ColType::PkAuto),
            ("email", ColType::String),
            ("token", ColType::StringUniq),
        ];
        create_table(m, "email_changes", &columns, &[("user", "")]).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        drop_table(m, "email_changes").await
    }
}
