use std::io;

use loco_rs::prelude::*;

use crate::models::users;

/// Deletes a user after asking for confirmation.
pub struct UserDelete;

#[async_trait]
impl Task for UserDelete {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "user:delete".to_string(),
            detail: "Delete a user: pid:<pid>, and force:true to skip the confirmation".to_string(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &task::Vars) -> Result<()> {
        let pid = vars
            .cli_arg("pid")
            .map_err(|_| Error::string("pid is mandatory"))?;
        let force = vars
            .cli_arg("force")
            .is_ok_and(|force| force.trim().eq_ignore_ascii_case("true"));
        let user = users::Model::find_by_pid(&ctx.db, pid).await?;

        println!("user {} <{}>, pid {}", user.name, user.email, user.pid);
        if !force && !confirm().await? {
            println!("nothing was deleted");
            return Ok(());
        }
        user.delete(&ctx.db).await?;
        println!("deleted");
        Ok(())
    }
}

async fn confirm() -> Result<bool> {
    println!("Delete this user? Type 'yes' to confirm:");
    // Waiting for input must not block a thread of the runtime.
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map(|_| answer)
    })
    .await
    .map_err(Error::wrap)??;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}
