use sea_orm_migration::prelude::*;

/// Columns used to look up rows: on every request, by emailed link, and by user.
const INDEXED: [(&str, &str); 7] = [
    ("users", "pid"),
    ("users", "reset_token"),
    ("users", "email_verification_token"),
    ("users", "magic_link_token"),
    ("sessions", "user_id"),
    ("used_links", "user_id"),
    ("email_changes", "user_id"),
];

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in INDEXED {
            let index = Index::create()
                .name(format!("idx-{table}-{column}"))
                .table(table)
                .col(column)
                .to_owned();
            m.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in INDEXED {
            let index = Index::drop()
                .name(format!("idx-{table}-{column}"))
                .table(table)
                .to_owned();
            m.drop_index(index).await?;
        }
        Ok(())
    }
}
