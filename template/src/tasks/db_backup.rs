use loco_rs::prelude::*;
use sea_orm::{ConnectionTrait, DbBackend, Statement};

/// Copies the database to a file while the service keeps running.
pub struct DbBackup;

#[async_trait]
impl Task for DbBackup {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "db:backup".to_string(),
            detail: "Copy the database while the service keeps running: file:<new file>"
                .to_string(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &task::Vars) -> Result<()> {
        let file = vars
            .cli_arg("file")
            .map_err(|_| Error::string("file is mandatory"))?;
        let copy =
            Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [file.into()]);
        ctx.db.execute_raw(copy).await?;
        println!("copied the database to {file}");
        Ok(())
    }
}
