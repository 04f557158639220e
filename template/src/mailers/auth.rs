use loco_rs::{
    mailer::{Email, MailerWorker},
    prelude::*,
};
use serde_json::{json, Value};

use super::{language::Language, settings::Settings};
use crate::models::users::{self, users::Column};

/// A mail, in each language.
struct Texts {
    english: Dir<'static>,
    german: Dir<'static>,
}

static ALREADY_REGISTERED: Texts = Texts {
    english: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/already_registered"),
    german: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/de/already_registered"),
};
static EMAIL_CHANGE: Texts = Texts {
    english: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/email_change"),
    german: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/de/email_change"),
};
static EMAIL_CHANGED: Texts = Texts {
    english: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/email_changed"),
    german: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/de/email_changed"),
};
static FORGOT: Texts = Texts {
    english: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/forgot"),
    german: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/de/forgot"),
};
static MAGIC_LINK: Texts = Texts {
    english: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/magic_link"),
    german: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/de/magic_link"),
};
static PASSWORD_CHANGED: Texts = Texts {
    english: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/password_changed"),
    german: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/de/password_changed"),
};
static WELCOME: Texts = Texts {
    english: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/welcome"),
    german: include_dir!("$CARGO_MANIFEST_DIR/src/mailers/auth/de/welcome"),
};

impl Texts {
    const fn within(&self, language: Language) -> &Dir<'static> {
        match language {
            Language::English => &self.english,
            Language::German => &self.german,
        }
    }
}

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
        let sent_at = Column::EmailVerificationSentAt;
        Self::send_dated(ctx, &ALREADY_REGISTERED, &user, json!({}), sent_at).await
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
            "path": "{{verify_path}}",
        });
        Self::send_dated(ctx, &WELCOME, user, locals, Column::EmailVerificationSentAt).await
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
            "path": "{{reset_path}}",
        });
        Self::send_dated(ctx, &FORGOT, user, locals, Column::ResetSentAt).await
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
            "path": "{{magic_link_path}}",
        });
        Self::send_dated(ctx, &MAGIC_LINK, user, locals, Column::MagicLinkExpiration).await
    }

    /// Mails the link that confirms a new address, to this address.
    ///
    /// # Errors
    ///
    /// When the mail cannot be made or queued.
    pub async fn send_email_change(ctx: &AppContext, email: &str, token: &str) -> Result<()> {
        let locals = json!({
            "token": token,
            "host": ctx.config.server.host,
            "path": "{{email_path}}",
        });
        Self::send(ctx, &EMAIL_CHANGE, email, locals).await
    }

    /// Tells the owner of an address that another one has taken its place.
    ///
    /// # Errors
    ///
    /// When the mail cannot be made or queued.
    pub async fn send_email_changed(ctx: &AppContext, email: &str) -> Result<()> {
        Self::send(ctx, &EMAIL_CHANGED, email, json!({})).await
    }

    /// Tells the user that the password is another one.
    ///
    /// # Errors
    ///
    /// When the mail cannot be made or queued.
    pub async fn send_password_changed(ctx: &AppContext, user: &users::Model) -> Result<()> {
        Self::send(ctx, &PASSWORD_CHANGED, &user.email, json!({})).await
    }

    /// A mail that cannot be queued is not taken for one that was just sent: `sent_at` is cleared.
    async fn send_dated(
        ctx: &AppContext,
        mail: &Texts,
        user: &users::Model,
        locals: Value,
        sent_at: Column,
    ) -> Result<()> {
        let queued = Self::send(ctx, mail, &user.email, locals).await;
        if queued.is_err() {
            user.clear_time(&ctx.db, sent_at).await?;
        }
        queued
    }

    async fn send(ctx: &AppContext, mail: &Texts, to: &str, locals: Value) -> Result<()> {
        let args = mailer::Args {
            from: Some(Settings::read(&ctx.config)?.from),
            to: to.to_string(),
            locals,
            ..Default::default()
        };
        Self::mail_template(ctx, mail.within(Language::current()), args).await
    }
}
