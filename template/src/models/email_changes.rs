//! Pending email changes: new addresses that their owners have not confirmed yet.

use chrono::{Duration, Local};
use loco_rs::prelude::*;
use sea_orm::{SqlErr, TransactionTrait};
use uuid::Uuid;

use super::{
    rate_limits, used_links,
    users::{self, VERIFICATION_TOKEN_EXPIRATION_HOURS},
};

pub use super::_entities::email_changes::{self, ActiveModel, Column, Entity, Model};

/// The kind under which [`used_links`] records these links.
const LINK: &str = "email_changes";

/// The outcome of requesting an email change. The user sees the same response for all of them.
#[derive(Debug)]
pub enum ChangeRequest {
    /// Send this token to the new address.
    Accepted { token: String },
    /// The address already has an account; notify its owner.
    Taken(Box<users::Model>),
    /// Too many requests.
    RateLimited,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Stores a new address for the user, replacing any pending one. The address must be normalized
    /// with [`users::normalize_email`].
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn request(
        db: &DatabaseConnection,
        user: &users::Model,
        email: &str,
    ) -> ModelResult<ChangeRequest> {
        let key = format!("email of {}", user.id);
        let retry_after =
            rate_limits::Model::record_attempt(db, &key, users::login_limit()).await?;
        if retry_after.is_some() {
            return Ok(ChangeRequest::RateLimited);
        }
        Self::cancel(db, user.id).await?;
        let found = users::Model::find_by_email(db, email).await;
        if let Some(owner) = users::optional(found)? {
            return Ok(ChangeRequest::Taken(Box::new(owner)));
        }
        let token = Uuid::new_v4().to_string();
        let change = ActiveModel {
            email: Set(email.to_string()),
            token: Set(users::stored_token(&token)),
            user_id: Set(user.id),
            ..Default::default()
        };
        change.insert(db).await?;
        Ok(ChangeRequest::Accepted { token })
    }

    /// Changes the user's address to the one to which this token was sent, and returns the user and
    /// the previous address. Repeating the call shortly afterwards returns only the user.
    ///
    /// # Errors
    ///
    /// Returns an error if the token is unknown or has expired, the address has been taken in the
    /// meantime, or the database fails.
    pub async fn confirm(
        db: &DatabaseConnection,
        token: &str,
    ) -> ModelResult<(users::Model, Option<String>)> {
        let token = users::stored_token(token);
        let change = Entity::find()
            .filter(Column::Token.eq(&token))
            .find_also_related(users::Entity);
        let Some((change, Some(user))) = change.one(db).await? else {
            let user = used_links::Model::find_recent_user(db, LINK, &token).await?;
            return Ok((user, None));
        };
        let valid = Duration::hours(VERIFICATION_TOKEN_EXPIRATION_HOURS);
        if change.created_at + valid < Local::now() {
            return Err(ModelError::EntityNotFound);
        }
        let previous = user.email.clone();
        let user_id = user.id;
        let mut user = user.into_active_model();
        user.email = Set(change.email.clone());
        user.email_verified_at = Set(Some(Local::now().into()));
        user.email_verification_token = Set(None);
        // These were sent to the old address.
        user.revoke_links();
        let transaction = db.begin().await?;
        if change.delete(&transaction).await?.rows_affected == 0 {
            // Another request has cancelled or confirmed it in the meantime.
            transaction.rollback().await?;
            let user = used_links::Model::find_recent_user(db, LINK, &token).await?;
            return Ok((user, None));
        }
        // Two concurrent requests may each have stored a pending change.
        Self::cancel(&transaction, user_id).await?;
        let user = user
            .update(&transaction)
            .await
            .map_err(|err| match err.sql_err() {
                Some(SqlErr::UniqueConstraintViolation(_)) => ModelError::EntityNotFound,
                _ => err.into(),
            })?;
        used_links::Model::record(&transaction, LINK, &token, user_id).await?;
        transaction.commit().await?;
        Ok((user, Some(previous)))
    }

    /// Cancels the user's pending email change.
    pub(super) async fn cancel(db: &impl ConnectionTrait, user_id: i64) -> ModelResult<()> {
        Entity::delete_many()
            .filter(Column::UserId.eq(user_id))
            .exec(db)
            .await?;
        Ok(())
    }

    /// Deletes email changes that were not confirmed in time.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn delete_expired(db: &DatabaseConnection) -> ModelResult<()> {
        // The extra day covers all UTC offsets: SQLite compares timestamps as text.
        let expired = Duration::hours(VERIFICATION_TOKEN_EXPIRATION_HOURS) + Duration::days(1);
        Entity::delete_many()
            .filter(Column::CreatedAt.lt(Local::now() - expired))
            .exec(db)
            .await?;
        Ok(())
    }
}
