use loco_rs::{
    mailer::{Email, MailerWorker},
    prelude::*,
};
use serde_json::{json, Value};

use super::settings::Settings;
use crate::models::users;

static ALREADY_REGISTERED: Dir<'_> =
    include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/already_registered");
static WELCOME: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/welcome");
static FORGOT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/forgot");
static MAGIC_LINK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/magic_link");

#[allow(clippy::module_name_repetitions)] // the name that Loco's guide and generator give it
pub struct AuthMailer {}

#[async_trait]
impl Mailer for AuthMailer {
    async fn mail(ctx: &AppContext, email: &Email) -> Result<()> {
        let email = Email {
            // The line break at the end of the file would be part of the header.
            subject: email.subject.trim().to_string(),
            ..email.clone()
        };
        MailerWorker::perform_later_with_priority(ctx, email, Some(Self::opts().priority)).await?;
        Ok(())
    }
}

impl AuthMailer {
    /// Tells the owner of a verified address that it was registered again, if that was not just mailed.
    ///
    /// # Errors
    ///
    /// When the database fails, or the mail cannot be made or queued.
    pub async fn send_already_registered(ctx: &AppContext, user: users::Model) -> Result<()> {
        if user.has_verification_mail() {
            return Ok(());
        }
        let user = user
            .into_active_model()
            .set_registration_notice_sent(&ctx.db)
            .await?;
        Self::send(ctx, &ALREADY_REGISTERED, &user, json!({})).await
    }

    /// Gives the user a new verification token and mails it, if none was just mailed.
    ///
    /// # Errors
    ///
    /// When the database fails, or the mail cannot be made or queued.
    pub async fn send_verification(ctx: &AppContext, user: users::Model) -> Result<()> {
        if user.has_verification_mail() {
            return Ok(());
        }
        let user = user
            .into_active_model()
            .set_email_verification_sent(&ctx.db)
            .await?;
        Self::send_welcome(ctx, &user).await
    }

    /// Mails the link that verifies the address.
    ///
    /// # Errors
    ///
    /// When the mail cannot be made or queued.
    pub async fn send_welcome(ctx: &AppContext, user: &users::Model) -> Result<()> {
        let locals = json!({
            "verifyToken": user.email_verification_token,
            "host": ctx.config.server.host,
        });
        Self::send(ctx, &WELCOME, user, locals).await
    }

    /// Mails the token with which the password can be set anew.
    ///
    /// # Errors
    ///
    /// When the mail cannot be made or queued.
    pub async fn forgot_password(ctx: &AppContext, user: &users::Model) -> Result<()> {
        let locals = json!({
            "resetToken": user.reset_token,
            "host": ctx.config.server.host,
        });
        Self::send(ctx, &FORGOT, user, locals).await
    }

    /// Mails the link that logs in once.
    ///
    /// # Errors
    ///
    /// When the user has no magic link, or the mail cannot be made or queued.
    pub async fn send_magic_link(ctx: &AppContext, user: &users::Model) -> Result<()> {
        let token = user
            .magic_link_token
            .as_ref()
            .ok_or_else(|| Error::string("the user has no magic link"))?;
        let locals = json!({
            "token": token,
            "host": ctx.config.server.host,
        });
        Self::send(ctx, &MAGIC_LINK, user, locals).await
    }

    async fn send(
        ctx: &AppContext,
        mail: &Dir<'_>,
        user: &users::Model,
        locals: Value,
    ) -> Result<()> {
        let args = mailer::Args {
            from: Some(Settings::read(&ctx.config)?.from),
            to: user.email.clone(),
            locals,
            ..Default::default()
        };
        Self::mail_template(ctx, mail, args).await
    }
}
