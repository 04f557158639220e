mod email;
mod link;
mod password;
mod settings;

use std::sync::LazyLock;

use chrono::{Duration, Local};
use loco_rs::{auth::jwt, config, hash, prelude::*, validation::ModelValidationErrors};
use regex::Regex;
use sea_orm::{sea_query::IntoCondition, ActiveValue, IdenStatic, SqlErr, TransactionTrait};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use ts_rs::TS;
use uuid::Uuid;
use validator::{ValidationError, ValidationErrors};

use super::{
    email_changes,
    rate_limits::{self, Limit},
    sessions, used_links,
};

pub use super::_entities::users::{self, ActiveModel, Entity, Model};
pub(super) use link::stored_token;
pub use password::length as password_length;
pub use settings::{configure, settings, Settings};

/// Length of a magic link's token, in characters.
pub const MAGIC_LINK_LENGTH: i8 = 32;
/// Minutes until a magic link expires.
pub const MAGIC_LINK_EXPIRATION_MIN: i8 = 5;
/// Minutes until a password reset token expires.
pub const RESET_TOKEN_EXPIRATION_MIN: i64 = 30;
/// Hours until an email verification token expires.
pub const VERIFICATION_TOKEN_EXPIRATION_HOURS: i64 = 24;
/// Maximum length of a name, in characters.
const MAX_NAME_LENGTH: usize = 100;

/// Control and format characters, line breaks of any kind, and links.
static FORBIDDEN_IN_NAMES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|://|[\p{L}\p{N}]\.\p{L}{2,}")
        .expect("a regular expression")
});

#[derive(Debug, Deserialize, Serialize, TS{{to_schema}})]
pub struct LoginParams {
    pub email: String,
    pub password: String,
}

#[derive(Debug, Deserialize, Serialize, TS{{to_schema}})]
pub struct RegisterParams {
    pub email: String,
    pub password: String,
    pub name: String,
}

/// The rules a user must satisfy to be saved.
#[derive(Debug, Validate, Deserialize)]
pub struct Validator {
    #[validate(
        length(min = 2, message = "Name must be at least 2 characters long."),
        custom(
            function = "validate_name",
            message = "Name must be at most 100 characters long, without links or control characters."
        )
    )]
    pub name: String,
    #[validate(custom(function = "email::validate", message = "invalid email"))]
    pub email: String,
}

/// Keeps strangers from hiding a message in a name.
fn validate_name(name: &str) -> Result<(), ValidationError> {
    if name.chars().count() > MAX_NAME_LENGTH || FORBIDDEN_IN_NAMES.is_match(name) {
        return Err(ValidationError::new("plain"));
    }
    Ok(())
}

/// The outcome of a login attempt.
#[derive(Debug)]
pub enum Login {
    User(Box<Model>),
    /// Unknown address or wrong password.
    InvalidCredentials,
    /// Too many wrong passwords; the number of seconds until the next attempt.
    RateLimited(i64),
}

/// The outcome of registering an address that already has an account.
#[derive(Debug)]
pub enum Reregistration {
    /// The registration takes effect once the address is verified.
    Unverified(Model),
    /// The address is already verified; nothing has changed.
    Verified(Model),
    /// Too many attempts; nothing has changed.
    RateLimited,
}

impl RegisterParams {
    fn validate(&self) -> Result<(), ModelValidationErrors> {
        let user = Validator {
            name: self.name.clone(),
            email: self.email.clone(),
        };
        let mut errors = Validate::validate(&user).err().unwrap_or_default();
        if let Err(error) = password::validate(&self.password) {
            errors.add("password", error);
        }
        if errors.is_empty() {
            return Ok(());
        }
        Err(errors.into())
    }
}

impl Validatable for ActiveModel {
    fn validator(&self) -> Box<dyn Validate> {
        Box::new(Validator {
            name: self.name.as_ref().clone(),
            email: self.email.as_ref().clone(),
        })
    }
}

#[async_trait]
impl ActiveModelBehavior for ActiveModel {
    async fn before_save<C>(mut self, _db: &C, insert: bool) -> Result<Self, DbErr>
    where
        C: ConnectionTrait,
    {
        self.validate()?;
        if let ActiveValue::Set(email) = &mut self.email {
            *email = email::normalize(email).unwrap_or_default();
        }
        if insert {
            self.pid = Set(Uuid::new_v4());
            self.api_key = Set(format!("lo-{}", Uuid::new_v4()));
        } else if self.updated_at.is_unchanged() {
            self.updated_at = Set(Local::now().into());
        }
        Ok(self)
    }
}

#[async_trait]
impl Authenticable for Model {
    async fn find_by_api_key(db: &DatabaseConnection, api_key: &str) -> ModelResult<Self> {
        Self::find_by_api_key(db, api_key).await
    }

    async fn find_by_claims_key(db: &DatabaseConnection, claims_key: &str) -> ModelResult<Self> {
        Self::find_by_pid(db, claims_key).await
    }
}

impl Model {
    /// Finds a user by email address, ignoring case.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such user or the database fails.
    pub async fn find_by_email(db: &DatabaseConnection, email: &str) -> ModelResult<Self> {
        let email = email::normalize(email).ok_or(ModelError::EntityNotFound)?;
        find_by(db, users::Column::Email, &email).await
    }

    /// Finds the user with this email address and password. Wrong passwords count towards the limit
    /// whether or not the address is known.
    ///
    /// # Errors
    ///
    /// Returns an error if the password cannot be hashed or the database fails.
    pub async fn log_in(db: &DatabaseConnection, params: &LoginParams) -> ModelResult<Login> {
        // An invalid address has no account, and all typos would share one key.
        let Some(email) = email::normalize(&params.email) else {
            return Ok(Login::InvalidCredentials);
        };
        let key = format!("login {email}");
        if let Some(seconds) = rate_limits::Model::record_attempt(db, &key, login_limit()).await? {
            return Ok(Login::RateLimited(seconds));
        }
        let Some(user) = optional(Self::find_by_email(db, &email).await)? else {
            // Take as long as for a wrong password, so timing does not reveal unknown addresses.
            password::hashed(&params.password).await?;
            return Ok(Login::InvalidCredentials);
        };
        user.log_in_with(db, &params.password, &key).await
    }

    /// Checks the password of a user who is already logged in. Wrong passwords are counted
    /// separately from logins, so somebody else's login attempts do not lock the user out here.
    ///
    /// # Errors
    ///
    /// Returns an error if the password cannot be hashed or the database fails.
    pub async fn confirm_password(
        &self,
        db: &DatabaseConnection,
        password: &str,
    ) -> ModelResult<Login> {
        let key = format!("password of {}", self.id);
        if let Some(seconds) = rate_limits::Model::record_attempt(db, &key, login_limit()).await? {
            return Ok(Login::RateLimited(seconds));
        }
        self.clone().log_in_with(db, password, &key).await
    }

    /// Checks the password; a correct one resets the count of wrong ones under this key.
    async fn log_in_with(
        self,
        db: &DatabaseConnection,
        password: &str,
        key: &str,
    ) -> ModelResult<Login> {
        let Some(user) = self.if_password_matches(password).await? else {
            return Ok(Login::InvalidCredentials);
        };
        rate_limits::Model::reset(db, key).await?;
        Ok(Login::User(Box::new(user)))
    }

    /// Finds the user to whom this verification token was sent.
    ///
    /// # Errors
    ///
    /// Returns an error if the token is unknown or has expired, or the database fails.
    pub async fn find_by_verification_token(
        db: &DatabaseConnection,
        token: &str,
    ) -> ModelResult<Self> {
        let user = find_by_link(db, users::Column::EmailVerificationToken, token).await?;
        let valid = Duration::hours(VERIFICATION_TOKEN_EXPIRATION_HOURS);
        match user.email_verification_sent_at {
            Some(sent_at) if sent_at + valid >= Local::now() => Ok(user),
            _ => Err(ModelError::EntityNotFound),
        }
    }

    /// Finds the user to whom this magic link was sent.
    ///
    /// # Errors
    ///
    /// Returns an error if the link is unknown or has expired, or the database fails.
    pub async fn find_by_magic_token(db: &DatabaseConnection, token: &str) -> ModelResult<Self> {
        let user = find_by_link(db, users::Column::MagicLinkToken, token).await?;
        match user.magic_link_expiration {
            Some(expiration) if expiration >= Local::now() => Ok(user),
            _ => Err(ModelError::EntityNotFound),
        }
    }

    /// Finds the user to whom this reset token was sent.
    ///
    /// # Errors
    ///
    /// Returns an error if the token is unknown or has expired, or the database fails.
    pub async fn find_by_reset_token(db: &DatabaseConnection, token: &str) -> ModelResult<Self> {
        let user = find_by_link(db, users::Column::ResetToken, token).await?;
        let valid = Duration::minutes(RESET_TOKEN_EXPIRATION_MIN);
        match user.reset_sent_at {
            Some(sent_at) if sent_at + valid >= Local::now() => Ok(user),
            _ => Err(ModelError::EntityNotFound),
        }
    }

    /// Verifies the address to which this token was emailed. Repeating the call shortly afterwards
    /// gives the same result.
    ///
    /// # Errors
    ///
    /// Returns an error if the token is unknown or has expired, or the database fails.
    pub async fn verify(db: &DatabaseConnection, token: &str) -> ModelResult<Self> {
        let user = Self::find_by_verification_token(db, token).await;
        let verified = match user {
            Ok(user) => user.into_active_model().verified(db).await,
            err => err,
        };
        match verified {
            Err(ModelError::EntityNotFound) => {
                find_recent_link_user(db, users::Column::EmailVerificationToken, token).await
            }
            verified => verified,
        }
    }

    /// Sets the password of the user to whom this reset token was emailed. Setting the same
    /// password again shortly afterwards also succeeds.
    ///
    /// # Errors
    ///
    /// Returns an error if the token is unknown or has expired, the password is invalid or cannot
    /// be hashed, or the database fails.
    pub async fn reset_by_link(
        db: &DatabaseConnection,
        token: &str,
        password: &str,
    ) -> ModelResult<Self> {
        let reset = match Self::find_by_reset_token(db, token).await {
            Ok(user) => user.into_active_model().reset_password(db, password).await,
            err => err,
        };
        let Err(ModelError::EntityNotFound) = reset else {
            return reset;
        };
        let user = find_recent_link_user(db, users::Column::ResetToken, token).await?;
        user.if_password_matches(password)
            .await?
            .ok_or(ModelError::EntityNotFound)
    }

    /// Logs in the user to whom this magic link was sent, and returns the JWT of a new session.
    /// Repeating the call shortly afterwards from the same browser replaces that session.
    ///
    /// If the address was not verified yet, it is now. Whoever set the password and started the
    /// other sessions had not proved that they own the address, so both are revoked.
    ///
    /// # Errors
    ///
    /// Returns an error if the link is unknown or has expired, the JWT cannot be signed, or the
    /// database fails.
    pub async fn log_in_by_link(
        db: &DatabaseConnection,
        token: &str,
        user_agent: Option<&str>,
        jwt: &config::JWT,
    ) -> ModelResult<(Self, String)> {
        let login = match Self::find_by_magic_token(db, token).await {
            Ok(user) => user.begin_session_by_magic_link(db, user_agent, jwt).await,
            Err(err) => Err(err),
        };
        let Err(ModelError::EntityNotFound) = login else {
            return login;
        };
        let user = find_recent_link_user(db, users::Column::MagicLinkToken, token).await?;
        let jwt = sessions::Model::replace_latest(db, &user, user_agent, jwt).await?;
        Ok((user, jwt))
    }

    async fn begin_session_by_magic_link(
        self,
        db: &DatabaseConnection,
        user_agent: Option<&str>,
        jwt: &config::JWT,
    ) -> ModelResult<(Self, String)> {
        let is_first_proof = settings().strict_links && self.email_verified_at.is_none();
        let mut user = self.into_active_model();
        if is_first_proof {
            // Somebody else may have registered the address and chosen the password.
            user.mark_email_verified();
            user.password = Set(password::hashed(&hash::random_string(32)).await?);
        }
        let transaction = db.begin().await?;
        let user = user.consume_magic_link(&transaction).await?;
        if is_first_proof {
            email_changes::Model::cancel(&transaction, user.id).await?;
            sessions::Model::end_all(&transaction, user.id, None).await?;
        }
        let jwt = sessions::Model::begin(&transaction, &user, user_agent, jwt).await?;
        transaction.commit().await?;
        Ok((user, jwt))
    }

    /// Finds a user by public id, a UUID.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such user, `pid` is not a UUID, or the database fails.
    pub async fn find_by_pid(db: &DatabaseConnection, pid: &str) -> ModelResult<Self> {
        let pid = Uuid::parse_str(pid).map_err(|err| ModelError::Any(err.into()))?;
        Entity::find()
            .filter(users::Column::Pid.eq(pid))
            .one(db)
            .await?
            .ok_or(ModelError::EntityNotFound)
    }

    /// Finds a user by API key.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such user or the database fails.
    pub async fn find_by_api_key(db: &DatabaseConnection, api_key: &str) -> ModelResult<Self> {
        find_by(db, users::Column::ApiKey, api_key).await
    }

    /// Checks the password. This takes tens of milliseconds: call it within [`memory::compute`].
    #[must_use]
    pub fn verify_password(&self, password: &str) -> bool {
        hash::verify_password(password, &self.password)
    }

    /// Returns the user if the password is correct.
    async fn if_password_matches(self, password: &str) -> ModelResult<Option<Self>> {
        let password = password.to_string();
        memory::compute(move || self.verify_password(&password).then_some(self))
            .await
            .map_err(|err| ModelError::Any(err.into()))
    }

    /// Creates a user, storing only the hash of the password. The password is hashed even if the
    /// address turns out to be taken, so timing does not reveal who is registered.
    ///
    /// # Errors
    ///
    /// Returns an error if the address is taken, a field is invalid, the password cannot be hashed,
    /// or the database fails.
    pub async fn create_with_password(
        db: &DatabaseConnection,
        params: &RegisterParams,
    ) -> ModelResult<Self> {
        let user = ActiveModel::from_registration(params).await?;
        user.insert(db).await.map_err(|err| match err.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => ModelError::EntityAlreadyExists,
            _ => err.into(),
        })
    }

    /// Handles a registration with an address that already has an account. As long as the address
    /// is unverified, somebody else may have registered it: a different password means a different
    /// user, who replaces the first one. Nothing the first one did or stored is kept.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no account, a field is invalid, the password cannot be hashed,
    /// or the database fails.
    pub async fn register_again(
        db: &DatabaseConnection,
        params: &RegisterParams,
    ) -> ModelResult<Reregistration> {
        let user = Self::find_by_email(db, &params.email).await?;
        let key = format!("register {}", user.email);
        if rate_limits::Model::record_attempt(db, &key, login_limit())
            .await?
            .is_some()
        {
            return Ok(Reregistration::RateLimited);
        }
        if user.email_verified_at.is_some() {
            return Ok(Reregistration::Verified(user));
        }
        if let Some(user) = user.clone().if_password_matches(&params.password).await? {
            return Ok(Reregistration::Unverified(user));
        }
        let replacement = ActiveModel::from_registration(params).await?;
        let transaction = db.begin().await?;
        let deleted = Entity::delete_many()
            .filter(users::Column::Id.eq(user.id))
            .filter(users::Column::EmailVerifiedAt.is_null())
            .exec(&transaction)
            .await?;
        if deleted.rows_affected == 0 {
            // The address was verified in the meantime.
            return Ok(Reregistration::Verified(user));
        }
        let replacement = replacement.insert(&transaction).await?;
        transaction.commit().await?;
        Ok(Reregistration::Unverified(replacement))
    }

    /// Whether the verification email was sent too recently to send it again.
    #[must_use]
    pub fn verification_on_cooldown(&self) -> bool {
        is_on_cooldown(self.email_verification_sent_at)
    }

    /// Whether the password reset email was sent too recently to send it again.
    #[must_use]
    pub fn reset_on_cooldown(&self) -> bool {
        is_on_cooldown(self.reset_sent_at)
    }

    /// Whether the magic link was sent too recently to send another one.
    #[must_use]
    pub fn magic_link_on_cooldown(&self) -> bool {
        let lifetime = Duration::minutes(MAGIC_LINK_EXPIRATION_MIN.into());
        is_on_cooldown(self.magic_link_expiration.map(|end| end - lifetime))
    }

    /// Clears the timestamp in this column: the email counts as unsent, and its token as invalid.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn clear_time(
        &self,
        db: &DatabaseConnection,
        column: users::Column,
    ) -> ModelResult<()> {
        Entity::update_many()
            .col_expr(column, Expr::value(None::<DateTimeWithTimeZone>))
            .filter(users::Column::Id.eq(self.id))
            .exec(db)
            .await?;
        Ok(())
    }

    /// Clears tokens and magic links that expired at least a day ago, and returns how many there
    /// were. The extra day covers all UTC offsets: `SQLite` compares timestamps as text.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn clear_expired_tokens(db: &DatabaseConnection) -> ModelResult<u64> {
        let cutoff = Local::now() - Duration::days(1);
        let no_time = || Expr::value(None::<DateTimeWithTimeZone>);
        let reset_tokens = Entity::update_many()
            .col_expr(users::Column::ResetToken, Expr::value(None::<String>))
            .col_expr(users::Column::ResetSentAt, no_time())
            .filter(
                users::Column::ResetSentAt
                    .lt(cutoff - Duration::minutes(RESET_TOKEN_EXPIRATION_MIN)),
            )
            .exec(db)
            .await?;
        let verification_tokens = Entity::update_many()
            .col_expr(
                users::Column::EmailVerificationToken,
                Expr::value(None::<String>),
            )
            .filter(users::Column::EmailVerificationToken.is_not_null())
            .filter(
                users::Column::EmailVerificationSentAt
                    .lt(cutoff - Duration::hours(VERIFICATION_TOKEN_EXPIRATION_HOURS)),
            )
            .exec(db)
            .await?;
        let magic_links = Entity::update_many()
            .col_expr(users::Column::MagicLinkToken, Expr::value(None::<String>))
            .col_expr(users::Column::MagicLinkExpiration, no_time())
            .filter(users::Column::MagicLinkExpiration.lt(cutoff))
            .exec(db)
            .await?;
        Ok(reset_tokens.rows_affected
            + verification_tokens.rows_affected
            + magic_links.rows_affected)
    }

    /// Creates a JWT for this user that is valid for `expiration` seconds. It belongs to no
    /// session, so it cannot be revoked; [`sessions::Model::begin`](super::sessions::Model::begin)
    /// creates one that can.
    ///
    /// # Errors
    ///
    /// Returns an error if the token cannot be signed.
    pub fn generate_jwt(&self, secret: &str, expiration: u64) -> ModelResult<String> {
        jwt::JWT::new(secret)
            .generate_token(expiration, self.pid.to_string(), Map::new())
            .map_err(ModelError::from)
    }
}

impl ActiveModel {
    async fn from_registration(params: &RegisterParams) -> ModelResult<Self> {
        params.validate()?;
        Ok(Self {
            email: Set(params.email.clone()),
            password: Set(password::hashed(&params.password).await?),
            name: Set(params.name.clone()),
            ..Default::default()
        })
    }

    /// Creates a new verification token. The returned user carries the token; the database stores
    /// only its hash.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn set_email_verification_sent(
        mut self,
        db: &DatabaseConnection,
    ) -> ModelResult<Model> {
        let token = Uuid::new_v4().to_string();
        self.email_verification_sent_at = Set(Some(Local::now().into()));
        self.email_verification_token = Set(Some(link::stored_token(&token)));
        let mut user = self.update(db).await?;
        user.email_verification_token = Some(token);
        Ok(user)
    }

    /// Records when the user was notified that somebody registered their verified address.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn set_registration_notice_sent(
        mut self,
        db: &DatabaseConnection,
    ) -> ModelResult<Model> {
        self.email_verification_sent_at = Set(Some(Local::now().into()));
        self.update(db).await.map_err(ModelError::from)
    }

    /// Creates a password reset token. The returned user carries the token; the database stores
    /// only its hash.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn set_forgot_password_sent(mut self, db: &DatabaseConnection) -> ModelResult<Model> {
        let token = Uuid::new_v4().to_string();
        self.reset_sent_at = Set(Some(Local::now().into()));
        self.reset_token = Set(Some(link::stored_token(&token)));
        let mut user = self.update(db).await?;
        user.reset_token = Some(token);
        Ok(user)
    }

    /// Marks the email address as verified and consumes the token.
    ///
    /// # Errors
    ///
    /// Returns an error if the token has already been used, or the database fails.
    pub async fn verified(mut self, db: &DatabaseConnection) -> ModelResult<Model> {
        let token = self.email_verification_token.take().flatten();
        self.mark_email_verified();
        let transaction = db.begin().await?;
        let column = users::Column::EmailVerificationToken;
        let user = consume_token(column, token, self, &transaction).await?;
        email_changes::Model::cancel(&transaction, user.id).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Sets a new password, consumes the reset token and revokes any magic link. All of the user's
    /// sessions end, because they were started with the old password.
    ///
    /// # Errors
    ///
    /// Returns an error if the token has already been used, the password is invalid or cannot be
    /// hashed, or the database fails.
    pub async fn reset_password(
        mut self,
        db: &DatabaseConnection,
        password: &str,
    ) -> ModelResult<Model> {
        let token = self.reset_token.take().flatten();
        let mut user = self.with_new_password(password).await?;
        if settings().strict_links {
            // Only someone who can read the mailbox has the token.
            user.mark_email_verified();
        }
        let transaction = db.begin().await?;
        let user = consume_token(users::Column::ResetToken, token, user, &transaction).await?;
        email_changes::Model::cancel(&transaction, user.id).await?;
        sessions::Model::end_all(&transaction, user.id, None).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Sets a new password for a logged-in user, revokes all emailed links, and ends all of the
    /// user's sessions except this one.
    ///
    /// # Errors
    ///
    /// Returns an error if the password is invalid, cannot be hashed or was changed in the
    /// meantime, or the database fails.
    pub async fn change_password(
        self,
        db: &DatabaseConnection,
        password: &str,
        session: Option<Uuid>,
    ) -> ModelResult<Model> {
        let before = self.password.as_ref().clone();
        let user = self.with_new_password(password).await?;
        let transaction = db.begin().await?;
        // The request was authorised by the old password, so it must still be the current one.
        let is_unchanged = users::Column::Password.eq(before);
        let user = update_if(is_unchanged, user, &transaction).await?;
        email_changes::Model::cancel(&transaction, user.id).await?;
        sessions::Model::end_all(&transaction, user.id, session).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Ends all of the user's sessions, and revokes all emailed links but the one that verifies the
    /// address.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn log_out(mut self, db: &DatabaseConnection) -> ModelResult<Model> {
        self.revoke_links();
        let transaction = db.begin().await?;
        let user = self.update(&transaction).await?;
        email_changes::Model::cancel(&transaction, user.id).await?;
        sessions::Model::end_all(&transaction, user.id, None).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Marks the email address as verified, keeping an earlier timestamp.
    fn mark_email_verified(&mut self) {
        if self.email_verified_at.as_ref().is_none() {
            self.email_verified_at = Set(Some(Local::now().into()));
        }
        self.email_verification_token = Set(None);
    }

    async fn with_new_password(mut self, password: &str) -> ModelResult<Self> {
        password::validate(password).map_err(|error| validation_error("password", error))?;
        self.password = Set(password::hashed(password).await?);
        self.revoke_links();
        Ok(self)
    }

    /// Revokes the password reset link and the magic link.
    pub(super) fn revoke_links(&mut self) {
        self.reset_token = Set(None);
        self.reset_sent_at = Set(None);
        self.magic_link_token = Set(None);
        self.magic_link_expiration = Set(None);
    }

    /// Changes the user's name.
    ///
    /// # Errors
    ///
    /// Returns an error if the name is invalid or the database fails.
    pub async fn rename(mut self, db: &DatabaseConnection, name: &str) -> ModelResult<Model> {
        self.name = Set(name.to_string());
        Validatable::validate(&self).map_err(ModelError::from)?;
        self.update(db).await.map_err(ModelError::from)
    }

    /// Creates a magic link. The returned user carries its token; the database stores only the
    /// hash.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn create_magic_link(mut self, db: &DatabaseConnection) -> ModelResult<Model> {
        let expiration = Local::now() + Duration::minutes(MAGIC_LINK_EXPIRATION_MIN.into());
        let token = hash::random_string(usize::from(MAGIC_LINK_LENGTH.unsigned_abs()));
        self.magic_link_token = Set(Some(link::stored_token(&token)));
        self.magic_link_expiration = Set(Some(expiration.into()));
        let mut user = self.update(db).await?;
        user.magic_link_token = Some(token);
        Ok(user)
    }

    /// Consumes the magic link.
    ///
    /// # Errors
    ///
    /// Returns an error if the link has already been used, or the database fails.
    pub async fn clear_magic_link(self, db: &DatabaseConnection) -> ModelResult<Model> {
        let transaction = db.begin().await?;
        let user = self.consume_magic_link(&transaction).await?;
        transaction.commit().await?;
        Ok(user)
    }

    async fn consume_magic_link(mut self, db: &impl ConnectionTrait) -> ModelResult<Model> {
        let token = self.magic_link_token.take().flatten();
        self.magic_link_token = Set(None);
        self.magic_link_expiration = Set(None);
        consume_token(users::Column::MagicLinkToken, token, self, db).await
    }
}

/// Normalizes an email address to the form in which it is stored.
///
/// # Errors
///
/// Returns a validation error if the address is invalid.
pub fn normalize_email(address: &str) -> ModelResult<String> {
    email::normalize(address).ok_or_else(|| {
        let error = ValidationError::new("email").with_message("invalid email".into());
        validation_error("email", error).into()
    })
}

/// The validation error for a wrong current password.
#[must_use]
pub fn wrong_password() -> ModelValidationErrors {
    let error = ValidationError::new("wrong").with_message("The password is wrong.".into());
    validation_error("current_password", error)
}

fn validation_error(field: &'static str, error: ValidationError) -> ModelValidationErrors {
    let mut errors = ValidationErrors::new();
    errors.add(field, error);
    errors.into()
}

/// Whether this is a valid email address.
#[must_use]
pub fn is_email(email: &str) -> bool {
    email::normalize(email).is_some()
}

/// Whether the address belongs to a domain that may log in by magic link.
#[must_use]
pub fn may_use_magic_links(email: &str) -> bool {
    let domains = settings().magic_link_domains;
    email::normalize(email).is_some_and(|email| {
        let domain = email.rsplit_once('@').map(|(_, domain)| domain);
        domains.is_empty() || domains.iter().any(|one| domain == Some(one.as_str()))
    })
}

/// Joins all validation messages into one string.
#[must_use]
pub fn messages(errors: &ModelValidationErrors) -> String {
    let messages = errors.errors.values().flatten();
    let messages: Vec<_> = messages
        .filter_map(|error| error.message.as_deref())
        .collect();
    messages.join("; ")
}

/// Turns [`ModelError::EntityNotFound`] into `None`.
///
/// # Errors
///
/// Returns every other error unchanged.
pub fn optional(found: ModelResult<Model>) -> ModelResult<Option<Model>> {
    match found {
        Ok(user) => Ok(Some(user)),
        Err(ModelError::EntityNotFound) => Ok(None),
        Err(err) => Err(err),
    }
}

/// The limit on wrong passwords for an account, and on repeated registrations of its address.
pub(super) fn login_limit() -> Limit {
    Limit {
        attempts: settings().login_attempts,
        seconds: 15 * 60,
    }
}

fn is_on_cooldown(sent_at: Option<DateTimeWithTimeZone>) -> bool {
    let cooldown = Duration::seconds(settings().mail_cooldown);
    sent_at.is_some_and(|sent_at| sent_at + cooldown > Local::now())
}

async fn find_by(db: &DatabaseConnection, column: users::Column, text: &str) -> ModelResult<Model> {
    // PostgreSQL rejects queries with a NUL character, and no stored text contains one.
    if text.contains('\0') {
        return Err(ModelError::EntityNotFound);
    }
    Entity::find()
        .filter(column.eq(text))
        .one(db)
        .await?
        .ok_or(ModelError::EntityNotFound)
}

async fn find_by_link(
    db: &DatabaseConnection,
    column: users::Column,
    token: &str,
) -> ModelResult<Model> {
    find_by(db, column, &link::stored_token(token)).await
}

async fn find_recent_link_user(
    db: &DatabaseConnection,
    column: users::Column,
    token: &str,
) -> ModelResult<Model> {
    used_links::Model::find_recent_user(db, column.as_str(), &link::stored_token(token)).await
}

/// Saves the user if the token is still stored, so only one of two concurrent requests with the
/// same token succeeds.
async fn consume_token(
    column: users::Column,
    token: Option<String>,
    user: ActiveModel,
    db: &impl ConnectionTrait,
) -> ModelResult<Model> {
    let is_there = token
        .as_ref()
        .map_or_else(|| column.is_null(), |token| column.eq(token));
    let user = update_if(is_there, user, db).await?;
    if let Some(token) = token {
        used_links::Model::record(db, column.as_str(), &token, user.id).await?;
    }
    Ok(user)
}

/// Saves the user if the condition still holds.
async fn update_if(
    condition: impl IntoCondition,
    user: ActiveModel,
    db: &impl ConnectionTrait,
) -> ModelResult<Model> {
    let user = user.before_save(db, false).await?;
    let update = Entity::update(user).validate()?.filter(condition);
    update.exec(db).await.map_err(|err| match err {
        DbErr::RecordNotUpdated => ModelError::EntityNotFound,
        err => err.into(),
    })
}
