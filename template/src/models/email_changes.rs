//! New addresses of users, until they are confirmed by whoever reads the mail there.

use chrono::{Duration, Local};
use loco_rs::prelude::*;
use sea_orm::{SqlErr, TransactionTrait};
use uuid::Uuid;

use super::{
    rate_limits, used_links,
    users::{self, VERIFICATION_TOKEN_EXPIRATION_HOURS},
};

pub use super::_entities::email_changes::{self, ActiveModel, Column, Entity, Model};

/// The kind of the links that are mailed here.
const LINK: &str = "email_changes";

/// What comes of the wish for another address. The user is told the same of each.
#[derive(Debug)]
pub enum Change {
    /// This token is to be mailed to the new address.
    Asked { token: String },
    /// The address has an account already, whose owner is to be told.
    Taken(Box<users::Model>),
    /// There were too many.
    TooOften,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Keeps a new address for the user, in place of another one that was not confirmed. It is given in
    /// the form of [`users::valid_email`].
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn ask(
        db: &DatabaseConnection,
        user: &users::Model,
        email: &str,
    ) -> ModelResult<Change> {
        let key = format!("email of {}", user.id);
        let counted = rate_limits::Model::count(db, &key, users::login_limit()).await?;
        if counted.is_some() {
            return Ok(Change::TooOften);
        }
        Self::void(db, user.id).await?;
        let found = users::Model::find_by_email(db, email).await;
        if let Some(owner) = users::known(found)? {
            return Ok(Change::Taken(Box::new(owner)));
        }
        let token = Uuid::new_v4().to_string();
        let change = ActiveModel {
            email: Set(email.to_string()),
            token: Set(users::stored(&token)),
            user_id: Set(user.id),
            ..Default::default()
        };
        change.insert(db).await?;
        Ok(Change::Asked { token })
    }

    /// Gives the user the address to which this token was mailed, and returns the user with the
    /// address before. Repeating it shortly after
    /// returns the user alone.
    ///
    /// # Errors
    ///
    /// When there is none, the token has expired, the address has been taken meanwhile, or the database
    /// fails.
    pub async fn confirm(
        db: &DatabaseConnection,
        token: &str,
    ) -> ModelResult<(users::Model, Option<String>)> {
        let token = users::stored(token);
        let change = Entity::find()
            .filter(Column::Token.eq(&token))
            .find_also_related(users::Entity);
        let Some((change, Some(user))) = change.one(db).await? else {
            let user = used_links::Model::user(db, LINK, &token).await?;
            return Ok((user, None));
        };
        let valid = Duration::hours(VERIFICATION_TOKEN_EXPIRATION_HOURS);
        if change.created_at + valid < Local::now() {
            return Err(ModelError::EntityNotFound);
        }
        let before = user.email.clone();
        let mut user = user.into_active_model();
        user.email = Set(change.email.clone());
        user.email_verified_at = Set(Some(Local::now().into()));
        user.email_verification_token = Set(None);
        // They were mailed to the old address.
        user.void_links();
        let transaction = db.begin().await?;
        if change.delete(&transaction).await?.rows_affected == 0 {
            // Voided meanwhile, or done by another request.
            transaction.rollback().await?;
            let user = used_links::Model::user(db, LINK, &token).await?;
            return Ok((user, None));
        }
        let user = user
            .update(&transaction)
            .await
            .map_err(|err| match err.sql_err() {
                Some(SqlErr::UniqueConstraintViolation(_)) => ModelError::EntityNotFound,
                _ => err.into(),
            })?;
        used_links::Model::keep(&transaction, LINK, &token, user.id).await?;
        transaction.commit().await?;
        Ok((user, Some(before)))
    }

    /// Voids the link that was mailed to the user's new address.
    pub(super) async fn void(db: &impl ConnectionTrait, user_id: i64) -> ModelResult<()> {
        Entity::delete_many()
            .filter(Column::UserId.eq(user_id))
            .exec(db)
            .await?;
        Ok(())
    }

    /// Deletes what was not confirmed in time.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn delete_expired(db: &DatabaseConnection) -> ModelResult<()> {
        // A day later, for the offsets of all time zones: SQLite compares times as text.
        let expired = Duration::hours(VERIFICATION_TOKEN_EXPIRATION_HOURS) + Duration::days(1);
        Entity::delete_many()
            .filter(Column::CreatedAt.lt(Local::now() - expired))
            .exec(db)
            .await?;
        Ok(())
    }
}
