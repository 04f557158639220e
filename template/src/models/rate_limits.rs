//! How often something may be tried. The database counts, for all processes of the service.

use chrono::Utc;
use loco_rs::prelude::*;
use sea_orm::sea_query::{CaseStatement, ExprTrait, OnConflict};

pub use super::_entities::rate_limits::{self, ActiveModel, Column, Entity, Model};

/// So many attempts in so many seconds. No attempts: there is no limit.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub attempts: i64,
    pub seconds: i64,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Counts one more attempt. `Some` is one too many: in so many seconds, the next one is not.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn count(
        db: &DatabaseConnection,
        key: &str,
        limit: Limit,
    ) -> ModelResult<Option<i64>> {
        if limit.attempts == 0 {
            return Ok(None);
        }
        let now = Utc::now().timestamp();
        let ends_at = now + limit.seconds;
        let row = ActiveModel {
            key: Set(key.to_string()),
            attempts: Set(1),
            ends_at: Set(ends_at),
            ..Default::default()
        };
        // One statement, as others may count at the same time.
        let has_ended = || Expr::col((Entity, Column::EndsAt)).lte(now);
        let attempts = CaseStatement::new()
            .case(has_ended(), 1)
            .finally(Expr::col((Entity, Column::Attempts)).add(1));
        let end = CaseStatement::new()
            .case(has_ended(), ends_at)
            .finally(Expr::col((Entity, Column::EndsAt)));
        let again = OnConflict::column(Column::Key)
            .value(Column::Attempts, attempts)
            .value(Column::EndsAt, end)
            .to_owned();
        let counted = Entity::insert(row)
            .on_conflict(again)
            .exec_with_returning(db)
            .await?;
        let is_too_many = counted.attempts > limit.attempts;
        Ok(is_too_many.then_some(counted.ends_at - now))
    }

    /// Begins to count anew.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn reset(db: &DatabaseConnection, key: &str) -> ModelResult<()> {
        Entity::delete_many()
            .filter(Column::Key.eq(key))
            .exec(db)
            .await?;
        Ok(())
    }

    /// Deletes what is no longer counted.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn delete_expired(db: &DatabaseConnection) -> ModelResult<()> {
        Entity::delete_many()
            .filter(Column::EndsAt.lte(Utc::now().timestamp()))
            .exec(db)
            .await?;
        Ok(())
    }
}
