//! Rate limits. The attempts are counted in the database, so the limits span all processes.

use chrono::Utc;
use loco_rs::prelude::*;
use sea_orm::sea_query::{CaseStatement, ExprTrait, OnConflict};

pub use super::_entities::rate_limits::{self, ActiveModel, Column, Entity, Model};

/// The attempts allowed within a number of seconds. 0 attempts: unlimited.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub attempts: i64,
    pub seconds: i64,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Counts one more attempt. Returns the seconds until the next one is allowed if this one
    /// exceeds the limit.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn record_attempt(
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
        // A single statement, so concurrent attempts are all counted.
        let has_ended = || Expr::col((Entity, Column::EndsAt)).lte(now);
        let attempts = CaseStatement::new()
            .case(has_ended(), 1)
            .finally(Expr::col((Entity, Column::Attempts)).add(1));
        let end = CaseStatement::new()
            .case(has_ended(), ends_at)
            .finally(Expr::col((Entity, Column::EndsAt)));
        let on_conflict = OnConflict::column(Column::Key)
            .value(Column::Attempts, attempts)
            .value(Column::EndsAt, end)
            .to_owned();
        let counted = Entity::insert(row)
            .on_conflict(on_conflict)
            .exec_with_returning(db)
            .await?;
        let is_exceeded = counted.attempts > limit.attempts;
        Ok(is_exceeded.then_some(counted.ends_at - now))
    }

    /// Resets the counter.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn reset(db: &DatabaseConnection, key: &str) -> ModelResult<()> {
        Entity::delete_many()
            .filter(Column::Key.eq(key))
            .exec(db)
            .await?;
        Ok(())
    }

    /// Deletes expired counters.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn delete_expired(db: &DatabaseConnection) -> ModelResult<()> {
        Entity::delete_many()
            .filter(Column::EndsAt.lte(Utc::now().timestamp()))
            .exec(db)
            .await?;
        Ok(())
    }
}
