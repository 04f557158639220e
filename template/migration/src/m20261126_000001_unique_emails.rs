use sea_orm_migration::prelude::*;

/// Makes email addresses unique, ignoring case.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let db = m.get_connection();
        db.execute_unprepared("UPDATE users SET email = lower(email)")
            .await?;
        db.execute_unprepared(
            r#"CREATE UNIQUE INDEX "idx-users-lower-email" ON users (lower(email))"#,
        )
        .await?;
        Ok(())
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::drop()
            .name("idx-users-lower-email")
            .table("users")
            .to_owned();
        m.drop_index(index).await
    }
}
