//! Emailed links that have been used. They keep working for a few seconds (`link_repeat` in
//! `settings.accounts`), in case of a double click or a dropped connection.

use chrono::{Duration, Local};
use loco_rs::prelude::*;

use super::users;

pub use super::_entities::used_links::{self, ActiveModel, Entity, Model};

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Records that a user has used a link of this kind. The token must be in its stored form.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub(super) async fn record(
        db: &impl ConnectionTrait,
        kind: &str,
        token: &str,
        user_id: i64,
    ) -> ModelResult<()> {
        let link = ActiveModel {
            link: Set(key(kind, token)),
            user_id: Set(user_id),
            ..Default::default()
        };
        link.insert(db).await?;
        Ok(())
    }

    /// Finds the user who has just used a link of this kind. The token must be in its stored form.
    ///
    /// # Errors
    ///
    /// Returns an error if the link was not used recently or the database fails.
    pub(super) async fn find_recent_user(
        db: &DatabaseConnection,
        kind: &str,
        token: &str,
    ) -> ModelResult<users::Model> {
        let link = Entity::find()
            .filter(used_links::Column::Link.eq(key(kind, token)))
            .find_also_related(users::Entity);
        match link.one(db).await? {
            Some((link, Some(user))) if is_recent(link.created_at) => Ok(user),
            _ => Err(ModelError::EntityNotFound),
        }
    }

    /// Deletes links that were used at least a day ago.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn delete_expired(db: &DatabaseConnection) -> ModelResult<()> {
        Entity::delete_many()
            .filter(used_links::Column::CreatedAt.lt(Local::now() - Duration::days(1)))
            .exec(db)
            .await?;
        Ok(())
    }
}

/// Whether something done at `time` is recent enough to be repeated by the same person.
pub(super) fn is_recent(time: DateTimeWithTimeZone) -> bool {
    let repeat = Duration::seconds(users::settings().link_repeat);
    time + repeat > Local::now()
}

/// Includes the kind, so that a link of one kind never matches one of another.
fn key(kind: &str, token: &str) -> String {
    format!("{kind} {token}")
}
