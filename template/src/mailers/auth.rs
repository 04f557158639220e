use loco_rs::{
    mailer::{Email, MailerWorker},
    prelude::*,
};
use serde_json::{json, Value};

use super::{language::Language, settings::Settings};
use crate::models::users::{self, users::Column};

/// The templates of one email in each language.
struct Templates {
    english: Dir<'static>,
    german: Dir<'static>,
}

static ALREADY_REGISTERED: Templates = Templates {
    english: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/already_registered"),
    german: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/de/already_registered"),
};
static EMAIL_CHANGE: Templates = Templates {
    english: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/email_change"),
    german: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/de/email_change"),
};
static EMAIL_CHANGED: Templates = Templates {
    english: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/email_changed"),
    german: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/de/email_changed"),
};
static FORGOT: Templates = Templates {
    english: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/forgot"),
    german: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/de/forgot"),
};
static MAGIC_LINK: Templates = Templates {
    english: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/magic_link"),
    german: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/de/magic_link"),
};
static PASSWORD_CHANGED: Templates = Templates {
    english: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/password_changed"),
    german: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/de/password_changed"),
};
static WELCOME: Templates = Templates {
    english: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/welcome"),
    german: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/de/welcome"),
};

impl Templates {
    const fn for_language(&self, language: Language) -> &Dir<'static> {
        match language {
            Language::English => &self.english,
            Language::German => &self.german,
        }
    }
}

#[allow(clippy::module_name_repetitions)] // named as in Loco's guide and generator
pub struct AuthMailer {}

#[async_trait]
impl Mailer for AuthMailer {
    async fn mail(ctx: &AppContext, email: &Email) -> Result<()> {
        let email = Email {
            // The file's trailing newline would end up in the header.
            subject: email.subject.trim().to_string(),
            ..email.clone()
        };
        MailerWorker::perform_later_with_priority(ctx, email, Some(Self::opts().priority)).await?;
        Ok(())
    }
}

impl AuthMailer {
    /// Notifies the owner of a verified address that somebody registered it again, unless the last
    /// email was sent too recently.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails, or the email cannot be created or queued.
    pub async fn send_already_registered(ctx: &AppContext, user: users::Model) -> Result<()> {
        if user.verification_on_cooldown() {
            return Ok(());
        }
        let user = user
            .into_active_model()
            .set_registration_notice_sent(&ctx.db)
            .await?;
        let sent_at = Column::EmailVerificationSentAt;
        Self::send_or_clear(ctx, &ALREADY_REGISTERED, &user, json!({}), sent_at).await
    }

    /// Creates a new verification token and emails it, unless the last email was sent too recently.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails, or the email cannot be created or queued.
    pub async fn send_verification(ctx: &AppContext, user: users::Model) -> Result<()> {
        if user.verification_on_cooldown() {
            return Ok(());
        }
        let user = user
            .into_active_model()
            .set_email_verification_sent(&ctx.db)
            .await?;
        Self::send_welcome(ctx, &user).await
    }

    /// Emails the verification link.
    ///
    /// # Errors
    ///
    /// Returns an error if the email cannot be created or queued.
    pub async fn send_welcome(ctx: &AppContext, user: &users::Model) -> Result<()> {
        let locals = json!({
            "verifyToken": user.email_verification_token,
            "host": ctx.config.server.host,
            "path": "{{verify_path}}",
        });
        Self::send_or_clear(ctx, &WELCOME, user, locals, Column::EmailVerificationSentAt).await
    }

    /// Emails the password reset link.
    ///
    /// # Errors
    ///
    /// Returns an error if the email cannot be created or queued.
    pub async fn forgot_password(ctx: &AppContext, user: &users::Model) -> Result<()> {
        let locals = json!({
            "resetToken": user.reset_token,
            "host": ctx.config.server.host,
            "path": "{{reset_path}}",
        });
        Self::send_or_clear(ctx, &FORGOT, user, locals, Column::ResetSentAt).await
    }

    /// Emails the magic link.
    ///
    /// # Errors
    ///
    /// Returns an error if the user has no magic link, or the email cannot be created or queued.
    pub async fn send_magic_link(ctx: &AppContext, user: &users::Model) -> Result<()> {
        let token = user
            .magic_link_token
            .as_ref()
            .ok_or_else(|| Error::string("the user has no magic link"))?;
        let locals = json!({
            "token": token,
            "host": ctx.config.server.host,
            "path": "{{magic_link_path}}",
        });
        Self::send_or_clear(ctx, &MAGIC_LINK, user, locals, Column::MagicLinkExpiration).await
    }

    /// Emails the link that confirms a new address to that address.
    ///
    /// # Errors
    ///
    /// Returns an error if the email cannot be created or queued.
    pub async fn send_email_change(ctx: &AppContext, email: &str, token: &str) -> Result<()> {
        let locals = json!({
            "token": token,
            "host": ctx.config.server.host,
            "path": "{{email_path}}",
        });
        Self::send(ctx, &EMAIL_CHANGE, email, locals).await
    }

    /// Notifies the owner of an address that the account no longer uses it.
    ///
    /// # Errors
    ///
    /// Returns an error if the email cannot be created or queued.
    pub async fn send_email_changed(ctx: &AppContext, email: &str) -> Result<()> {
        Self::send(ctx, &EMAIL_CHANGED, email, json!({})).await
    }

    /// Notifies the user that the password was changed.
    ///
    /// # Errors
    ///
    /// Returns an error if the email cannot be created or queued.
    pub async fn send_password_changed(ctx: &AppContext, user: &users::Model) -> Result<()> {
        Self::send(ctx, &PASSWORD_CHANGED, &user.email, json!({})).await
    }

    /// Sends the email, or clears `sent_at` if it cannot be queued, so that it can be requested
    /// again.
    async fn send_or_clear(
        ctx: &AppContext,
        templates: &Templates,
        user: &users::Model,
        locals: Value,
        sent_at: Column,
    ) -> Result<()> {
        let queued = Self::send(ctx, templates, &user.email, locals).await;
        if queued.is_err() {
            user.clear_time(&ctx.db, sent_at).await?;
        }
        queued
    }

    async fn send(ctx: &AppContext, templates: &Templates, to: &str, locals: Value) -> Result<()> {
        let args = mailer::Args {
            from: Some(Settings::read(&ctx.config)?.from),
            to: to.to_string(),
            locals,
            ..Default::default()
        };
        Self::mail_template(ctx, templates.for_language(Language::current()), args).await
    }
}
