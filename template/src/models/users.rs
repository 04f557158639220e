mod email;
mod password;
mod settings;

use std::sync::LazyLock;

use chrono::{Duration, Local};
use loco_rs::{auth::jwt, hash, prelude::*, validation::ModelValidationErrors};
use regex::Regex;
use sea_orm::{ActiveValue, SqlErr, TransactionTrait};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use uuid::Uuid;
use validator::ValidationError;

use super::{
    rate_limits::{self, Limit},
    sessions,
};

pub use super::_entities::users::{self, ActiveModel, Entity, Model};
pub use password::length as password_length;
pub use settings::{configure, settings, Settings};

/// Characters of a magic link's token.
pub const MAGIC_LINK_LENGTH: i8 = 32;
/// Minutes for which a magic link logs in.
pub const MAGIC_LINK_EXPIRATION_MIN: i8 = 5;
/// Minutes for which a reset token sets a password.
pub const RESET_TOKEN_EXPIRATION_MIN: i64 = 30;
/// Hours for which a verification token verifies.
pub const VERIFICATION_TOKEN_EXPIRATION_HOURS: i64 = 24;
/// Characters that a name has at most.
const NAME_LENGTH: usize = 100;

/// What is in no name: control and format characters, line breaks of all kinds, and links.
static NOT_IN_NAMES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|://|[\p{L}\p{N}]\.\p{L}{2,}")
        .expect("a regular expression")
});

#[derive(Debug, Deserialize, Serialize)]
pub struct LoginParams {
    pub email: String,
    pub password: String,
}

#[derive(Debug, Deserialize, Serialize)]
pub struct RegisterParams {
    pub email: String,
    pub password: String,
    pub name: String,
}

/// What must hold for a user that is saved.
#[derive(Debug, Validate, Deserialize)]
pub struct Validator {
    #[validate(
        length(min = 2, message = "Name must be at least 2 characters long."),
        custom(
            function = "is_plain",
            message = "Name must be at most 100 characters long, without links or control characters."
        )
    )]
    pub name: String,
    #[validate(custom(function = "email::validate", message = "invalid email"))]
    pub email: String,
}

/// A name has no room for a message of a stranger's.
fn is_plain(name: &str) -> Result<(), ValidationError> {
    if name.chars().count() > NAME_LENGTH || NOT_IN_NAMES.is_match(name) {
        return Err(ValidationError::new("plain"));
    }
    Ok(())
}

/// What a login has led to.
#[derive(Debug)]
pub enum Login {
    User(Box<Model>),
    /// The address is unknown, or the password wrong.
    Refused,
    /// There were too many wrong passwords: in so many seconds, another one can be tried.
    TooOften(i64),
}

/// What a registration with an address that has an account has led to.
#[derive(Debug)]
pub enum Registered {
    /// The registration counts, once the address is verified.
    Unverified(Model),
    /// The address is verified: nothing has changed.
    Known(Model),
    /// There were too many: nothing has changed.
    TooOften,
}

impl RegisterParams {
    fn validate(&self) -> Result<(), ModelValidationErrors> {
        let user = Validator {
            name: self.name.clone(),
            email: self.email.clone(),
        };
        let mut faults = Validate::validate(&user).err().unwrap_or_default();
        if let Err(fault) = password::validate(&self.password) {
            faults.add("password", fault);
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(faults.into())
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
            *email = email::normal_form(email).unwrap_or_default();
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
    /// Finds the user with this mail address, in whatever letters it is written.
    ///
    /// # Errors
    ///
    /// When there is none, or the database fails.
    pub async fn find_by_email(db: &DatabaseConnection, email: &str) -> ModelResult<Self> {
        let email = email::normal_form(email).ok_or(ModelError::EntityNotFound)?;
        find_by(db, users::Column::Email, &email).await
    }

    /// Finds the user with this mail address and this password. Wrong passwords are counted, whether
    /// the address is known or not.
    ///
    /// # Errors
    ///
    /// When the password cannot be hashed, or the database fails.
    pub async fn log_in(db: &DatabaseConnection, params: &LoginParams) -> ModelResult<Login> {
        let email = email::normal_form(&params.email).unwrap_or_default();
        let key = format!("login {email}");
        if let Some(seconds) = rate_limits::Model::count(db, &key, login_limit()).await? {
            return Ok(Login::TooOften(seconds));
        }
        let Some(user) = known(Self::find_by_email(db, &email).await)? else {
            // As slow as a wrong password: the time would tell that the address is unknown.
            password::hashed(&params.password).await?;
            return Ok(Login::Refused);
        };
        let password = params.password.clone();
        let verified = memory::compute(move || user.verify_password(&password).then_some(user));
        let Some(user) = verified.await.map_err(|err| ModelError::Any(err.into()))? else {
            return Ok(Login::Refused);
        };
        rate_limits::Model::reset(db, &key).await?;
        Ok(Login::User(Box::new(user)))
    }

    /// Finds the user to whom this verification token was sent, while it is valid.
    ///
    /// # Errors
    ///
    /// When there is none, the token has expired, or the database fails.
    pub async fn find_by_verification_token(
        db: &DatabaseConnection,
        token: &str,
    ) -> ModelResult<Self> {
        let user = find_by(db, users::Column::EmailVerificationToken, token).await?;
        let valid = Duration::hours(VERIFICATION_TOKEN_EXPIRATION_HOURS);
        match user.email_verification_sent_at {
            Some(sent_at) if sent_at + valid >= Local::now() => Ok(user),
            _ => Err(ModelError::EntityNotFound),
        }
    }

    /// Finds the user to whom this magic link was sent, while it is valid.
    ///
    /// # Errors
    ///
    /// When there is none, the link has expired, or the database fails.
    pub async fn find_by_magic_token(db: &DatabaseConnection, token: &str) -> ModelResult<Self> {
        let user = find_by(db, users::Column::MagicLinkToken, token).await?;
        match user.magic_link_expiration {
            Some(expiration) if expiration >= Local::now() => Ok(user),
            _ => Err(ModelError::EntityNotFound),
        }
    }

    /// Finds the user to whom this reset token was sent, while it is valid.
    ///
    /// # Errors
    ///
    /// When there is none, the token has expired, or the database fails.
    pub async fn find_by_reset_token(db: &DatabaseConnection, token: &str) -> ModelResult<Self> {
        let user = find_by(db, users::Column::ResetToken, token).await?;
        let valid = Duration::minutes(RESET_TOKEN_EXPIRATION_MIN);
        match user.reset_sent_at {
            Some(sent_at) if sent_at + valid >= Local::now() => Ok(user),
            _ => Err(ModelError::EntityNotFound),
        }
    }

    /// Finds the user with this public id, a UUID.
    ///
    /// # Errors
    ///
    /// When there is none, `pid` is no UUID, or the database fails.
    pub async fn find_by_pid(db: &DatabaseConnection, pid: &str) -> ModelResult<Self> {
        let pid = Uuid::parse_str(pid).map_err(|err| ModelError::Any(err.into()))?;
        Entity::find()
            .filter(users::Column::Pid.eq(pid))
            .one(db)
            .await?
            .ok_or(ModelError::EntityNotFound)
    }

    /// Finds the user with this API key.
    ///
    /// # Errors
    ///
    /// When there is none, or the database fails.
    pub async fn find_by_api_key(db: &DatabaseConnection, api_key: &str) -> ModelResult<Self> {
        find_by(db, users::Column::ApiKey, api_key).await
    }

    /// Whether this is the user's password. It takes tens of milliseconds: [`memory::compute`].
    #[must_use]
    pub fn verify_password(&self, password: &str) -> bool {
        hash::verify_password(password, &self.password)
    }

    /// Creates a user; only the hash of the password is stored. That the address is taken is found
    /// after hashing, as the time would tell it otherwise.
    ///
    /// # Errors
    ///
    /// When the address is taken, a field is not valid, the password cannot be hashed, or the
    /// database fails.
    pub async fn create_with_password(
        db: &DatabaseConnection,
        params: &RegisterParams,
    ) -> ModelResult<Self> {
        params.validate()?;
        let user = ActiveModel {
            email: Set(params.email.clone()),
            password: Set(password::hashed(&params.password).await?),
            name: Set(params.name.clone()),
            ..Default::default()
        };
        user.insert(db).await.map_err(|err| match err.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => ModelError::EntityAlreadyExists,
            _ => err.into(),
        })
    }

    /// Takes a registration with an address that has an account. While it is not verified, somebody
    /// else may have registered it: another password takes the place of the first one, and so does its
    /// link, for what a link verifies is the registration for which it was mailed.
    ///
    /// # Errors
    ///
    /// When there is no account, the password cannot be hashed, or the database fails.
    pub async fn register_again(
        db: &DatabaseConnection,
        params: &RegisterParams,
    ) -> ModelResult<Registered> {
        let user = Self::find_by_email(db, &params.email).await?;
        let key = format!("register {}", user.email);
        if rate_limits::Model::count(db, &key, login_limit())
            .await?
            .is_some()
        {
            return Ok(Registered::TooOften);
        }
        if user.email_verified_at.is_some() {
            return Ok(Registered::Known(user));
        }
        let (password, known) = (params.password.clone(), user.clone());
        let is_the_same = memory::compute(move || known.verify_password(&password)).await;
        if is_the_same.map_err(|err| ModelError::Any(err.into()))? {
            return Ok(Registered::Unverified(user));
        }
        let again = ActiveModel {
            name: Set(params.name.clone()),
            password: Set(password::hashed(&params.password).await?),
            email_verification_token: Set(None),
            email_verification_sent_at: Set(None),
            ..user.clone().into_active_model()
        };
        let again = again.before_save(db, false).await?;
        let transaction = db.begin().await?;
        let update = Entity::update(again)
            .validate()?
            .filter(users::Column::EmailVerifiedAt.is_null());
        let again = match update.exec(&transaction).await {
            Ok(again) => again,
            // Verified meanwhile.
            Err(DbErr::RecordNotUpdated) => return Ok(Registered::Known(user)),
            Err(err) => return Err(err.into()),
        };
        sessions::Model::end_all(&transaction, again.id).await?;
        transaction.commit().await?;
        Ok(Registered::Unverified(again))
    }

    /// Whether the verification mail was sent so lately that it is not sent again yet.
    #[must_use]
    pub fn has_verification_mail(&self) -> bool {
        is_recent(self.email_verification_sent_at)
    }

    /// Whether the mail for a new password was sent so lately that it is not sent again yet.
    #[must_use]
    pub fn has_reset_mail(&self) -> bool {
        is_recent(self.reset_sent_at)
    }

    /// Whether the magic link was sent so lately that it is not sent again yet.
    #[must_use]
    pub fn has_magic_link_mail(&self) -> bool {
        let life = Duration::minutes(MAGIC_LINK_EXPIRATION_MIN.into());
        is_recent(self.magic_link_expiration.map(|end| end - life))
    }

    /// Clears the tokens and magic links that expired a day ago or earlier, and says how many.
    /// The day covers the offsets of all time zones: `SQLite` compares times as text.
    ///
    /// # Errors
    ///
    /// When the database fails.
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

    /// A JWT for this user, valid for `expiration` seconds. It has no session that could be ended
    /// before: [`sessions::Model::begin`](super::sessions::Model::begin) makes one that has.
    ///
    /// # Errors
    ///
    /// When the token cannot be signed.
    pub fn generate_jwt(&self, secret: &str, expiration: u64) -> ModelResult<String> {
        jwt::JWT::new(secret)
            .generate_token(expiration, self.pid.to_string(), Map::new())
            .map_err(ModelError::from)
    }
}

impl ActiveModel {
    /// Gives the user a new verification token.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn set_email_verification_sent(
        mut self,
        db: &DatabaseConnection,
    ) -> ModelResult<Model> {
        self.email_verification_sent_at = Set(Some(Local::now().into()));
        self.email_verification_token = Set(Some(Uuid::new_v4().to_string()));
        self.update(db).await.map_err(ModelError::from)
    }

    /// Keeps the time at which the user was told of a registration with a verified address.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn set_registration_notice_sent(
        mut self,
        db: &DatabaseConnection,
    ) -> ModelResult<Model> {
        self.email_verification_sent_at = Set(Some(Local::now().into()));
        self.update(db).await.map_err(ModelError::from)
    }

    /// Gives the user a token with which the password can be set anew.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn set_forgot_password_sent(mut self, db: &DatabaseConnection) -> ModelResult<Model> {
        self.reset_sent_at = Set(Some(Local::now().into()));
        self.reset_token = Set(Some(Uuid::new_v4().to_string()));
        self.update(db).await.map_err(ModelError::from)
    }

    /// Marks the mail address as verified; its token is used up.
    ///
    /// # Errors
    ///
    /// When the token was used up meanwhile, or the database fails.
    pub async fn verified(mut self, db: &DatabaseConnection) -> ModelResult<Model> {
        let token = self.email_verification_token.take().flatten();
        self.email_verified_at = Set(Some(Local::now().into()));
        self.email_verification_token = Set(None);
        use_up(users::Column::EmailVerificationToken, token, self, db).await
    }

    /// Sets a new password; the reset token is used up, and so is a magic link. All of the user's
    /// sessions end: who has begun them, only knew the old one.
    ///
    /// # Errors
    ///
    /// When the token was used up meanwhile, the password is not valid or cannot be hashed, or the
    /// database fails.
    pub async fn reset_password(
        mut self,
        db: &DatabaseConnection,
        password: &str,
    ) -> ModelResult<Model> {
        if let Err(fault) = password::validate(password) {
            let mut faults = validator::ValidationErrors::new();
            faults.add("password", fault);
            return Err(ModelValidationErrors::from(faults).into());
        }
        let token = self.reset_token.take().flatten();
        self.password = Set(password::hashed(password).await?);
        self.reset_token = Set(None);
        self.reset_sent_at = Set(None);
        self.magic_link_token = Set(None);
        self.magic_link_expiration = Set(None);
        let transaction = db.begin().await?;
        let user = use_up(users::Column::ResetToken, token, self, &transaction).await?;
        sessions::Model::end_all(&transaction, user.id).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Gives the user a token that logs in once.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn create_magic_link(mut self, db: &DatabaseConnection) -> ModelResult<Model> {
        let expiration = Local::now() + Duration::minutes(MAGIC_LINK_EXPIRATION_MIN.into());
        let token = hash::random_string(usize::from(MAGIC_LINK_LENGTH.unsigned_abs()));
        self.magic_link_token = Set(Some(token));
        self.magic_link_expiration = Set(Some(expiration.into()));
        self.update(db).await.map_err(ModelError::from)
    }

    /// Uses up the magic link.
    ///
    /// # Errors
    ///
    /// When it was used up meanwhile, or the database fails.
    pub async fn clear_magic_link(mut self, db: &DatabaseConnection) -> ModelResult<Model> {
        let token = self.magic_link_token.take().flatten();
        self.magic_link_token = Set(None);
        self.magic_link_expiration = Set(None);
        use_up(users::Column::MagicLinkToken, token, self, db).await
    }
}

/// Whether mail can be sent to this address.
#[must_use]
pub fn is_email(email: &str) -> bool {
    email::normal_form(email).is_some()
}

/// Whether the address is of a mail domain that may log in by magic link.
#[must_use]
pub fn may_use_magic_links(email: &str) -> bool {
    let domains = settings().magic_link_domains;
    email::normal_form(email).is_some_and(|email| {
        let domain = email.rsplit_once('@').map(|(_, domain)| domain);
        domains.is_empty() || domains.iter().any(|one| domain == Some(one.as_str()))
    })
}

/// What is wrong with a user, as a text.
#[must_use]
pub fn messages(faults: &ModelValidationErrors) -> String {
    let messages = faults.errors.values().flatten();
    let messages: Vec<_> = messages
        .filter_map(|fault| fault.message.as_deref())
        .collect();
    messages.join("; ")
}

/// The user that was looked for, if there is one.
///
/// # Errors
///
/// When it failed for another reason.
pub fn known(found: ModelResult<Model>) -> ModelResult<Option<Model>> {
    match found {
        Ok(user) => Ok(Some(user)),
        Err(ModelError::EntityNotFound) => Ok(None),
        Err(err) => Err(err),
    }
}

/// Of wrong passwords for an account, and of registrations with its address.
fn login_limit() -> Limit {
    Limit {
        attempts: settings().login_attempts,
        seconds: 15 * 60,
    }
}

fn is_recent(sent_at: Option<DateTimeWithTimeZone>) -> bool {
    let cooldown = Duration::seconds(settings().mail_cooldown);
    sent_at.is_some_and(|sent_at| sent_at + cooldown > Local::now())
}

async fn find_by(db: &DatabaseConnection, column: users::Column, text: &str) -> ModelResult<Model> {
    // No text has a NUL: PostgreSQL takes none, and does not look for one.
    if text.contains('\0') {
        return Err(ModelError::EntityNotFound);
    }
    Entity::find()
        .filter(column.eq(text))
        .one(db)
        .await?
        .ok_or(ModelError::EntityNotFound)
}

/// Saves the user if the token is still there: of two requests with the same token, one finds it
/// used up.
async fn use_up(
    column: users::Column,
    token: Option<String>,
    user: ActiveModel,
    db: &impl ConnectionTrait,
) -> ModelResult<Model> {
    let is_there = token.map_or_else(|| column.is_null(), |token| column.eq(token));
    let user = user.before_save(db, false).await?;
    let update = Entity::update(user).validate()?.filter(is_there);
    update.exec(db).await.map_err(|err| match err {
        DbErr::RecordNotUpdated => ModelError::EntityNotFound,
        err => err.into(),
    })
}
