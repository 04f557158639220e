use loco_rs::{config::WorkerMode, prelude::*};

use crate::{
    mailers::auth::AuthMailer,
    models::users::{self, RegisterParams},
};

/// Creates a user as registration does, including the email.
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
            .map_err(creation_error)?;
        println!(
            "created user {} <{}>, pid {}",
            user.name, user.email, user.pid
        );

        // Send it before this process ends, whatever `workers.mode` says.
        let mut ctx = ctx.clone();
        ctx.config.workers.mode = WorkerMode::ForegroundBlocking;
        if let Err(err) = AuthMailer::send_verification(&ctx, user).await {
            println!("the verification email was not sent: {err}");
        }
        Ok(())
    }
}

fn creation_error(err: ModelError) -> Error {
    let reason = match err {
        ModelError::Validation(errors) => users::messages(&errors),
        err => err.to_string(),
    };
    Error::string(&format!("Failed to create user. err: {reason}"))
}

fn mandatory(vars: &task::Vars, name: &str) -> Result<String> {
    vars.cli_arg(name)
        .map(String::from)
        .map_err(|_| Error::string(&format!("{name} is mandatory")))
}
