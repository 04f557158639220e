use loco_rs::prelude::*;

use crate::models::users;

/// Logs a user out everywhere, for example after a stolen device or a compromised mailbox.
pub struct UserLogout;

#[async_trait]
impl Task for UserLogout {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "user:logout".to_string(),
            detail: "End all sessions of a user and revoke all emailed links: email:<address>"
                .to_string(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &task::Vars) -> Result<()> {
        let email = vars
            .cli_arg("email")
            .map_err(|_| Error::string("email is mandatory"))?;
        let user = users::Model::find_by_email(&ctx.db, email).await?;

        let user = user.into_active_model().log_out(&ctx.db).await?;
        println!(
            "logged out: user {} <{}>, pid {}",
            user.name, user.email, user.pid
        );
        Ok(())
    }
}
