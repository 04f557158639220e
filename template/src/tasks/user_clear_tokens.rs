use loco_rs::prelude::*;

use crate::models::{email_changes, rate_limits, sessions, used_links, users};

/// Clears expired tokens, magic links and sessions.
pub struct UserClearTokens;

#[async_trait]
impl Task for UserClearTokens {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "user:clear_tokens".to_string(),
            detail: "Clear tokens, magic links and sessions that expired at least a day ago"
                .to_string(),
        }
    }

    async fn run(&self, ctx: &AppContext, _vars: &task::Vars) -> Result<()> {
        let cleared = users::Model::clear_expired_tokens(&ctx.db).await?;
        let sessions = sessions::Model::delete_expired(&ctx.db).await?;
        email_changes::Model::delete_expired(&ctx.db).await?;
        rate_limits::Model::delete_expired(&ctx.db).await?;
        used_links::Model::delete_expired(&ctx.db).await?;
        println!("deleted {sessions} sessions");
        println!("cleared {cleared} tokens and magic links");
        Ok(())
    }
}
