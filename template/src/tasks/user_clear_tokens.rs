use loco_rs::prelude::*;

use crate::models::users;

/// Clears the tokens and magic links that nobody has used in time.
pub struct UserClearTokens;

#[async_trait]
impl Task for UserClearTokens {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "user:clear_tokens".to_string(),
            detail: "Clear tokens and magic links that expired a day ago".to_string(),
        }
    }

    async fn run(&self, ctx: &AppContext, _vars: &task::Vars) -> Result<()> {
        let cleared = users::Model::clear_expired_tokens(&ctx.db).await?;
        println!("cleared {cleared} tokens and magic links");
        Ok(())
    }
}
