use chrono::{Duration, Local};
use loco_rs::{auth::jwt, hash, prelude::*};
use sea_orm::SqlErr;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use uuid::Uuid;
use validator::ValidationError;

pub use super::_entities::users::{self, ActiveModel, Entity, Model};

/// Characters of a magic link's token.
pub const MAGIC_LINK_LENGTH: i8 = 32;
/// What an address ends with that may log in by magic link.
const MAGIC_LINK_DOMAINS: [&str; 2] = ["@example.com", "@gmail.com"];
/// Minutes for which a magic link logs in.
pub const MAGIC_LINK_EXPIRATION_MIN: i8 = 5;
/// Minutes for which a reset token sets a password.
pub const RESET_TOKEN_EXPIRATION_MIN: i64 = 30;
/// Characters that a name has at most.
const NAME_LENGTH: usize = 100;

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
            function = "fits_on_a_line",
            message = "Name must be at most 100 characters long, on one line."
        )
    )]
    pub name: String,
    #[validate(email(message = "invalid email"))]
    pub email: String,
}

/// A name is part of mails, in which there is no room for a message of somebody else's.
fn fits_on_a_line(name: &str) -> Result<(), ValidationError> {
    if name.chars().count() > NAME_LENGTH || name.contains(char::is_control) {
        return Err(ValidationError::new("line"));
    }
    Ok(())
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
    /// Finds the user with this mail address.
    ///
    /// # Errors
    ///
    /// When there is none, or the database fails.
    pub async fn find_by_email(db: &DatabaseConnection, email: &str) -> ModelResult<Self> {
        find_one(db, users::Column::Email.eq(email)).await
    }

    /// Finds the user with this mail address and this password.
    ///
    /// # Errors
    ///
    /// When there is none, the password cannot be hashed, or the database fails.
    pub async fn find_by_login(db: &DatabaseConnection, params: &LoginParams) -> ModelResult<Self> {
        let Some(user) = known(Self::find_by_email(db, &params.email).await)? else {
            // As slow as a wrong password: the time would tell that the address is unknown.
            hashed(&params.password).await?;
            return Err(ModelError::EntityNotFound);
        };
        let password = params.password.clone();
        let verified = memory::compute(move || user.verify_password(&password).then_some(user));
        let user = verified.await.map_err(|err| ModelError::Any(err.into()))?;
        user.ok_or(ModelError::EntityNotFound)
    }

    /// Finds the user to whom this verification token was sent.
    ///
    /// # Errors
    ///
    /// When there is none, or the database fails.
    pub async fn find_by_verification_token(
        db: &DatabaseConnection,
        token: &str,
    ) -> ModelResult<Self> {
        find_one(db, users::Column::EmailVerificationToken.eq(token)).await
    }

    /// Finds the user to whom this magic link was sent, while it is valid.
    ///
    /// # Errors
    ///
    /// When there is none, the link has expired, or the database fails.
    pub async fn find_by_magic_token(db: &DatabaseConnection, token: &str) -> ModelResult<Self> {
        let user = find_one(db, users::Column::MagicLinkToken.eq(token)).await?;
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
        let user = find_one(db, users::Column::ResetToken.eq(token)).await?;
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
        find_one(db, users::Column::Pid.eq(pid)).await
    }

    /// Finds the user with this API key.
    ///
    /// # Errors
    ///
    /// When there is none, or the database fails.
    pub async fn find_by_api_key(db: &DatabaseConnection, api_key: &str) -> ModelResult<Self> {
        find_one(db, users::Column::ApiKey.eq(api_key)).await
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
        let user = ActiveModel {
            email: Set(params.email.clone()),
            password: Set(hashed(&params.password).await?),
            name: Set(params.name.clone()),
            ..Default::default()
        };
        user.insert(db).await.map_err(|err| match err.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => ModelError::EntityAlreadyExists,
            _ => err.into(),
        })
    }

    /// Clears the reset tokens and magic links that expired a day ago or earlier, and says how many.
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
        let magic_links = Entity::update_many()
            .col_expr(users::Column::MagicLinkToken, Expr::value(None::<String>))
            .col_expr(users::Column::MagicLinkExpiration, no_time())
            .filter(users::Column::MagicLinkExpiration.lt(cutoff))
            .exec(db)
            .await?;
        Ok(reset_tokens.rows_affected + magic_links.rows_affected)
    }

    /// A JWT for this user, valid for `expiration` seconds.
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

    /// Sets a new password; the reset token is used up, and so is a magic link.
    ///
    /// # Errors
    ///
    /// When the token was used up meanwhile, the password cannot be hashed, or the database fails.
    pub async fn reset_password(
        mut self,
        db: &DatabaseConnection,
        password: &str,
    ) -> ModelResult<Model> {
        let token = self.reset_token.take().flatten();
        self.password = Set(hashed(password).await?);
        self.reset_token = Set(None);
        self.reset_sent_at = Set(None);
        self.magic_link_token = Set(None);
        self.magic_link_expiration = Set(None);
        use_up(users::Column::ResetToken, token, self, db).await
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

/// Whether the address is of a mail domain that may log in by magic link.
#[must_use]
pub fn may_use_magic_links(email: &str) -> bool {
    MAGIC_LINK_DOMAINS
        .iter()
        .any(|domain| email.ends_with(domain))
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

async fn find_one<C>(db: &DatabaseConnection, condition: C) -> ModelResult<Model>
where
    C: sea_orm::sea_query::IntoCondition + Send,
{
    Entity::find()
        .filter(condition)
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
    db: &DatabaseConnection,
) -> ModelResult<Model> {
    let is_there = token.map_or_else(|| column.is_null(), |token| column.eq(token));
    let user = user.before_save(db, false).await?;
    let update = Entity::update(user).validate()?.filter(is_there);
    update.exec(db).await.map_err(|err| match err {
        DbErr::RecordNotUpdated => ModelError::EntityNotFound,
        err => err.into(),
    })
}

/// It takes tens of milliseconds and 19 MiB.
async fn hashed(password: &str) -> ModelResult<String> {
    let password = password.to_string();
    let hash = memory::compute(move || hash::hash_password(&password)).await;
    hash.flatten().map_err(|err| ModelError::Any(err.into()))
}
