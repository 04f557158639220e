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
pub(super) use link::stored;
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

#[derive(Debug, Deserialize, Serialize, TS)]
pub struct LoginParams {
    pub email: String,
    pub password: String,
}

#[derive(Debug, Deserialize, Serialize, TS)]
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
        // What is no address has no account, and would be one key for all mistakes in typing.
        let Some(email) = email::normal_form(&params.email) else {
            return Ok(Login::Refused);
        };
        let key = format!("login {email}");
        if let Some(seconds) = rate_limits::Model::count(db, &key, login_limit()).await? {
            return Ok(Login::TooOften(seconds));
        }
        let Some(user) = known(Self::find_by_email(db, &email).await)? else {
            // As slow as a wrong password: the time would tell that the address is unknown.
            password::hashed(&params.password).await?;
            return Ok(Login::Refused);
        };
        user.log_in_with(db, &params.password, &key).await
    }

    /// Asks a user who is logged in for the password again. Wrong ones are counted by themselves: whoever
    /// tries to log in as this user elsewhere does not keep the user from it.
    ///
    /// # Errors
    ///
    /// When the password cannot be hashed, or the database fails.
    pub async fn confirm_password(
        &self,
        db: &DatabaseConnection,
        password: &str,
    ) -> ModelResult<Login> {
        let key = format!("password of {}", self.id);
        if let Some(seconds) = rate_limits::Model::count(db, &key, login_limit()).await? {
            return Ok(Login::TooOften(seconds));
        }
        self.clone().log_in_with(db, password, &key).await
    }

    /// With the right password, the wrong ones that this key has counted are forgotten.
    async fn log_in_with(
        self,
        db: &DatabaseConnection,
        password: &str,
        key: &str,
    ) -> ModelResult<Login> {
        let Some(user) = self.with_password(password).await? else {
            return Ok(Login::Refused);
        };
        rate_limits::Model::reset(db, key).await?;
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
        let user = find_by_link(db, users::Column::EmailVerificationToken, token).await?;
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
        let user = find_by_link(db, users::Column::MagicLinkToken, token).await?;
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
        let user = find_by_link(db, users::Column::ResetToken, token).await?;
        let valid = Duration::minutes(RESET_TOKEN_EXPIRATION_MIN);
        match user.reset_sent_at {
            Some(sent_at) if sent_at + valid >= Local::now() => Ok(user),
            _ => Err(ModelError::EntityNotFound),
        }
    }

    /// Verifies the address to which this token was mailed. Repeating it shortly after
    /// gives the same result.
    ///
    /// # Errors
    ///
    /// When there is none, the token has expired, or the database fails.
    pub async fn verify(db: &DatabaseConnection, token: &str) -> ModelResult<Self> {
        let user = Self::find_by_verification_token(db, token).await;
        let verified = match user {
            Ok(user) => user.into_active_model().verified(db).await,
            err => err,
        };
        match verified {
            Err(ModelError::EntityNotFound) => {
                just_used(db, users::Column::EmailVerificationToken, token).await
            }
            verified => verified,
        }
    }

    /// Sets the password of the user to whom this reset token was mailed. Setting the
    /// same one again shortly after succeeds, too.
    ///
    /// # Errors
    ///
    /// When there is none, the token has expired, the password is not valid or cannot be hashed, or the
    /// database fails.
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
        let user = just_used(db, users::Column::ResetToken, token).await?;
        user.with_password(password)
            .await?
            .ok_or(ModelError::EntityNotFound)
    }

    /// Logs in the user to whom this magic link was sent: with the JWT of a new session. Repeating
    /// it shortly after from the same browser replaces that session. An address that was not verified is
    /// so now, and what somebody did without that proof is void: the password, and other sessions.
    ///
    /// # Errors
    ///
    /// When there is none, the link has expired, the JWT cannot be signed, or the database fails.
    pub async fn log_in_by_link(
        db: &DatabaseConnection,
        token: &str,
        user_agent: Option<&str>,
        jwt: &config::JWT,
    ) -> ModelResult<(Self, String)> {
        let login = match Self::find_by_magic_token(db, token).await {
            Ok(user) => user.begin_session_once(db, user_agent, jwt).await,
            Err(err) => Err(err),
        };
        let Err(ModelError::EntityNotFound) = login else {
            return login;
        };
        let user = just_used(db, users::Column::MagicLinkToken, token).await?;
        let jwt = sessions::Model::begin_again(db, &user, user_agent, jwt).await?;
        Ok((user, jwt))
    }

    async fn begin_session_once(
        self,
        db: &DatabaseConnection,
        user_agent: Option<&str>,
        jwt: &config::JWT,
    ) -> ModelResult<(Self, String)> {
        let is_first_proof = settings().strict_links && self.email_verified_at.is_none();
        let mut user = self.into_active_model();
        if is_first_proof {
            // Whoever registered the address, and chose the password, may have been somebody else.
            user.verify_email();
            user.password = Set(password::hashed(&hash::random_string(32)).await?);
        }
        let transaction = db.begin().await?;
        let user = user.without_magic_link(&transaction).await?;
        if is_first_proof {
            email_changes::Model::void(&transaction, user.id).await?;
            sessions::Model::end_all(&transaction, user.id, None).await?;
        }
        let jwt = sessions::Model::begin(&transaction, &user, user_agent, jwt).await?;
        transaction.commit().await?;
        Ok((user, jwt))
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

    /// The user, if this is the password.
    async fn with_password(self, password: &str) -> ModelResult<Option<Self>> {
        let password = password.to_string();
        memory::compute(move || self.verify_password(&password).then_some(self))
            .await
            .map_err(|err| ModelError::Any(err.into()))
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
        let user = ActiveModel::registered(params).await?;
        user.insert(db).await.map_err(|err| match err.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => ModelError::EntityAlreadyExists,
            _ => err.into(),
        })
    }

    /// Takes a registration with an address that has an account. While it is not verified, somebody
    /// else may have registered it: another password is that of another user, who takes the first one's
    /// place, and nothing of what the first one has done or stored is left.
    ///
    /// # Errors
    ///
    /// When there is no account, a field is not valid, the password cannot be hashed, or the database
    /// fails.
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
        if let Some(user) = user.clone().with_password(&params.password).await? {
            return Ok(Registered::Unverified(user));
        }
        let again = ActiveModel::registered(params).await?;
        let transaction = db.begin().await?;
        let deleted = Entity::delete_many()
            .filter(users::Column::Id.eq(user.id))
            .filter(users::Column::EmailVerifiedAt.is_null())
            .exec(&transaction)
            .await?;
        if deleted.rows_affected == 0 {
            // Verified meanwhile.
            return Ok(Registered::Known(user));
        }
        let again = again.insert(&transaction).await?;
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

    /// Clears the time in this column, and with it what it dates.
    ///
    /// # Errors
    ///
    /// When the database fails.
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
    async fn registered(params: &RegisterParams) -> ModelResult<Self> {
        params.validate()?;
        Ok(Self {
            email: Set(params.email.clone()),
            password: Set(password::hashed(&params.password).await?),
            name: Set(params.name.clone()),
            ..Default::default()
        })
    }

    /// Gives the user a new verification token. It is in the user that is returned: only its hash is
    /// stored.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn set_email_verification_sent(
        mut self,
        db: &DatabaseConnection,
    ) -> ModelResult<Model> {
        let token = Uuid::new_v4().to_string();
        self.email_verification_sent_at = Set(Some(Local::now().into()));
        self.email_verification_token = Set(Some(link::stored(&token)));
        let mut user = self.update(db).await?;
        user.email_verification_token = Some(token);
        Ok(user)
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

    /// Gives the user a token with which the password can be set anew. It is in the user that is
    /// returned: only its hash is stored.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn set_forgot_password_sent(mut self, db: &DatabaseConnection) -> ModelResult<Model> {
        let token = Uuid::new_v4().to_string();
        self.reset_sent_at = Set(Some(Local::now().into()));
        self.reset_token = Set(Some(link::stored(&token)));
        let mut user = self.update(db).await?;
        user.reset_token = Some(token);
        Ok(user)
    }

    /// Marks the mail address as verified; its token is used up.
    ///
    /// # Errors
    ///
    /// When the token was used up meanwhile, or the database fails.
    pub async fn verified(mut self, db: &DatabaseConnection) -> ModelResult<Model> {
        let token = self.email_verification_token.take().flatten();
        self.verify_email();
        let transaction = db.begin().await?;
        let column = users::Column::EmailVerificationToken;
        let user = use_up(column, token, self, &transaction).await?;
        email_changes::Model::void(&transaction, user.id).await?;
        transaction.commit().await?;
        Ok(user)
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
        let token = self.reset_token.take().flatten();
        let mut user = self.with_new_password(password).await?;
        if settings().strict_links {
            // Who has the mail, reads what comes to the address.
            user.verify_email();
        }
        let transaction = db.begin().await?;
        let user = use_up(users::Column::ResetToken, token, user, &transaction).await?;
        email_changes::Model::void(&transaction, user.id).await?;
        sessions::Model::end_all(&transaction, user.id, None).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Sets a new password for a user who is logged in, and voids all mailed links. All of the user's
    /// sessions end but this one.
    ///
    /// # Errors
    ///
    /// When the password is not valid, cannot be hashed or was changed meanwhile, or the database fails.
    pub async fn change_password(
        self,
        db: &DatabaseConnection,
        password: &str,
        session: Option<Uuid>,
    ) -> ModelResult<Model> {
        let before = self.password.as_ref().clone();
        let user = self.with_new_password(password).await?;
        let transaction = db.begin().await?;
        // What was asked for with the old password, is not done with another one.
        let is_unchanged = users::Column::Password.eq(before);
        let user = update_if(is_unchanged, user, &transaction).await?;
        email_changes::Model::void(&transaction, user.id).await?;
        sessions::Model::end_all(&transaction, user.id, session).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Takes the address for verified, if it was not.
    fn verify_email(&mut self) {
        if self.email_verified_at.as_ref().is_none() {
            self.email_verified_at = Set(Some(Local::now().into()));
        }
        self.email_verification_token = Set(None);
    }

    async fn with_new_password(mut self, password: &str) -> ModelResult<Self> {
        password::validate(password).map_err(|fault| faults("password", fault))?;
        self.password = Set(password::hashed(password).await?);
        self.void_links();
        Ok(self)
    }

    /// Voids the links that set a password or log in.
    pub(super) fn void_links(&mut self) {
        self.reset_token = Set(None);
        self.reset_sent_at = Set(None);
        self.magic_link_token = Set(None);
        self.magic_link_expiration = Set(None);
    }

    /// Gives the user another name.
    ///
    /// # Errors
    ///
    /// When the name is not valid, or the database fails.
    pub async fn rename(mut self, db: &DatabaseConnection, name: &str) -> ModelResult<Model> {
        self.name = Set(name.to_string());
        Validatable::validate(&self).map_err(ModelError::from)?;
        self.update(db).await.map_err(ModelError::from)
    }

    /// Gives the user a token that logs in once. It is in the user that is returned: only its hash is
    /// stored.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn create_magic_link(mut self, db: &DatabaseConnection) -> ModelResult<Model> {
        let expiration = Local::now() + Duration::minutes(MAGIC_LINK_EXPIRATION_MIN.into());
        let token = hash::random_string(usize::from(MAGIC_LINK_LENGTH.unsigned_abs()));
        self.magic_link_token = Set(Some(link::stored(&token)));
        self.magic_link_expiration = Set(Some(expiration.into()));
        let mut user = self.update(db).await?;
        user.magic_link_token = Some(token);
        Ok(user)
    }

    /// Uses up the magic link.
    ///
    /// # Errors
    ///
    /// When it was used up meanwhile, or the database fails.
    pub async fn clear_magic_link(self, db: &DatabaseConnection) -> ModelResult<Model> {
        let transaction = db.begin().await?;
        let user = self.without_magic_link(&transaction).await?;
        transaction.commit().await?;
        Ok(user)
    }

    async fn without_magic_link(mut self, db: &impl ConnectionTrait) -> ModelResult<Model> {
        let token = self.magic_link_token.take().flatten();
        self.magic_link_token = Set(None);
        self.magic_link_expiration = Set(None);
        use_up(users::Column::MagicLinkToken, token, self, db).await
    }
}

/// The address as it is stored.
///
/// # Errors
///
/// When no mail could be sent to it.
pub fn valid_email(address: &str) -> ModelResult<String> {
    email::normal_form(address).ok_or_else(|| {
        let fault = ValidationError::new("email").with_message("invalid email".into());
        faults("email", fault).into()
    })
}

/// What is wrong if the password that was asked for again is not the user's.
#[must_use]
pub fn wrong_password() -> ModelValidationErrors {
    let fault = ValidationError::new("wrong").with_message("The password is wrong.".into());
    faults("current_password", fault)
}

fn faults(field: &'static str, fault: ValidationError) -> ModelValidationErrors {
    let mut faults = ValidationErrors::new();
    faults.add(field, fault);
    faults.into()
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
pub(super) fn login_limit() -> Limit {
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

async fn find_by_link(
    db: &DatabaseConnection,
    column: users::Column,
    token: &str,
) -> ModelResult<Model> {
    find_by(db, column, &link::stored(token)).await
}

async fn just_used(
    db: &DatabaseConnection,
    column: users::Column,
    token: &str,
) -> ModelResult<Model> {
    used_links::Model::user(db, column.as_str(), &link::stored(token)).await
}

/// Saves the user if the token is still there: of two requests with the same token, one finds it
/// used up.
async fn use_up(
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
        used_links::Model::keep(db, column.as_str(), &token, user.id).await?;
    }
    Ok(user)
}

/// Saves the user if this is still so.
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
