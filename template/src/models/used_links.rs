//! Mailed links that were used. After a double click or a broken connection they still work for a few
//! seconds (`link_repeat` in `settings.accounts`).

use chrono::{Duration, Local};
use loco_rs::prelude::*;

use super::users;

pub use super::_entities::used_links::{self, ActiveModel, Entity, Model};

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Keeps that a user has used a link of this kind. The token is given as it was stored.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub(super) async fn keep(
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

    /// The user who has just used a link of this kind. The token is given as it was stored.
    ///
    /// # Errors
    ///
    /// When it was not just used, or the database fails.
    pub(super) async fn user(
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

    /// Forgets the links that were used a day ago or earlier.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn delete_expired(db: &DatabaseConnection) -> ModelResult<()> {
        Entity::delete_many()
            .filter(used_links::Column::CreatedAt.lt(Local::now() - Duration::days(1)))
            .exec(db)
            .await?;
        Ok(())
    }
}

/// Whether what was done at this time may be done once more by the same person.
pub(super) fn is_recent(time: DateTimeWithTimeZone) -> bool {
    let repeat = Duration::seconds(users::settings().link_repeat);
    time + repeat > Local::now()
}

/// No link of one kind stands for one of another.
fn key(kind: &str, token: &str) -> String {
    format!("{kind} {token}")
}
