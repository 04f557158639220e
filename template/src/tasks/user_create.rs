use loco_rs::{config::WorkerMode, prelude::*};

use crate::{
    mailers::auth::AuthMailer,
    models::users::{self, RegisterParams},
};

/// Creates a user as registration does, mail included.
pub struct UserCreate;

#[async_trait]
impl Task for UserCreate {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "user:create".to_string(),
            detail: "Create a user: email:<address> name:<name> password:<password>".to_string(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &task::Vars) -> Result<()> {
        let params = RegisterParams {
            email: mandatory(vars, "email")?,
            name: mandatory(vars, "name")?,
            password: mandatory(vars, "password")?,
        };
        let user = users::Model::create_with_password(&ctx.db, &params)
            .await
            .map_err(refused)?;
        println!(
            "created user {} <{}>, pid {}",
            user.name, user.email, user.pid
        );

        // Sent before this process ends, wherever other mails are sent.
        let mut ctx = ctx.clone();
        ctx.config.workers.mode = WorkerMode::ForegroundBlocking;
        if let Err(err) = AuthMailer::send_verification(&ctx, user).await {
            println!("the verification mail was not sent: {err}");
        }
        Ok(())
    }
}

fn refused(err: ModelError) -> Error {
    let reason = match err {
        ModelError::Validation(faults) => users::messages(&faults),
        err => err.to_string(),
    };
    Error::string(&format!("Failed to create user. err: {reason}"))
}

fn mandatory(vars: &task::Vars, name: &str) -> Result<String> {
    vars.cli_arg(name)
        .map(String::from)
        .map_err(|_| Error::string(&format!("{name} is mandatory")))
}
