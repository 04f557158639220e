//! Login sessions. The JWT of a login is valid only as long as its session.

use chrono::{Duration, Local};
use loco_rs::{
    auth::jwt::{UserClaims, JWT},
    config,
    prelude::*,
};
use sea_orm::{TransactionSession, TransactionTrait};
use serde_json::Map;
use uuid::Uuid;

use super::{
    used_links,
    users::{self, users::Column},
};

pub use super::_entities::sessions::{self, ActiveModel, Entity, Model};

/// The JWT claim that holds the session's public id.
const CLAIM: &str = "session";
/// Maximum length of a stored user agent, in characters.
const MAX_USER_AGENT_LENGTH: usize = 200;

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Begins a session and returns its JWT.
    ///
    /// # Errors
    ///
    /// Returns an error if the user's password was changed in the meantime, the JWT cannot be
    /// signed, or the database fails.
    pub async fn begin(
        db: &(impl ConnectionTrait + TransactionTrait),
        user: &users::Model,
        user_agent: Option<&str>,
        jwt: &config::JWT,
    ) -> ModelResult<String> {
        let pid = Uuid::new_v4();
        let claims = Map::from_iter([(CLAIM.to_string(), pid.to_string().into())]);
        let token =
            JWT::new(&jwt.secret).generate_token(jwt.expiration, user.pid.to_string(), claims)?;
        let lifetime = std::time::Duration::from_secs(jwt.expiration);
        let session = ActiveModel {
            pid: Set(pid),
            user_id: Set(user.id),
            user_agent: Set(user_agent.map(truncate)),
            expires_at: Set((Local::now() + lifetime).into()),
            ..Default::default()
        };
        let transaction = db.begin().await?;
        // Changing the password ends all sessions. This no-op update locks the user's row, so that
        // no session begins concurrently with the old password.
        let is_unchanged = users::Entity::update_many()
            .col_expr(Column::Password, Expr::value(user.password.clone()))
            .filter(Column::Id.eq(user.id))
            .filter(Column::Password.eq(&user.password))
            .exec(&transaction)
            .await?;
        if is_unchanged.rows_affected == 0 {
            return Err(ModelError::EntityNotFound);
        }
        session.insert(&transaction).await?;
        transaction.commit().await?;
        Ok(token)
    }

    /// Replaces the session that the user has just begun in the same browser.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such session, the JWT cannot be signed, or the database
    /// fails.
    pub(super) async fn replace_latest(
        db: &DatabaseConnection,
        user: &users::Model,
        user_agent: Option<&str>,
        jwt: &config::JWT,
    ) -> ModelResult<String> {
        let last = Entity::find()
            .filter(sessions::Column::UserId.eq(user.id))
            .order_by_desc(sessions::Column::Id);
        let last = last.one(db).await?.ok_or(ModelError::EntityNotFound)?;
        if last.user_agent != user_agent.map(truncate) || !used_links::is_recent(last.created_at) {
            return Err(ModelError::EntityNotFound);
        }
        last.delete(db).await?;
        Self::begin(db, user, user_agent, jwt).await
    }

    /// Whether a JWT with these claims is still valid: its user exists and its session has not
    /// ended.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn is_active(db: &DatabaseConnection, claims: &UserClaims) -> ModelResult<bool> {
        let Ok(user) = Uuid::parse_str(&claims.pid) else {
            return Ok(false);
        };
        let user = users::Entity::find().filter(users::users::Column::Pid.eq(user));
        // The JWTs of `users::Model::generate_jwt` belong to no session.
        if !claims.claims.contains_key(CLAIM) {
            return Ok(user.count(db).await? > 0);
        }
        let Some(session) = session_pid(claims) else {
            return Ok(false);
        };
        let session = user
            .inner_join(Entity)
            .filter(sessions::Column::Pid.eq(session));
        Ok(session.count(db).await? > 0)
    }

    /// Ends the session that a JWT belongs to.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn end(db: &DatabaseConnection, claims: &UserClaims) -> ModelResult<()> {
        if let Some(session) = session_pid(claims) {
            Entity::delete_many()
                .filter(sessions::Column::Pid.eq(session))
                .exec(db)
                .await?;
        }
        Ok(())
    }

    /// Ends all sessions of a user except the one with this public id.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn end_all(
        db: &impl ConnectionTrait,
        user_id: i64,
        except: Option<Uuid>,
    ) -> ModelResult<()> {
        let mut sessions = Entity::delete_many().filter(sessions::Column::UserId.eq(user_id));
        if let Some(pid) = except {
            sessions = sessions.filter(sessions::Column::Pid.ne(pid));
        }
        sessions.exec(db).await?;
        Ok(())
    }

    /// Lists a user's active sessions, newest first.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn for_user(db: &DatabaseConnection, user_id: i64) -> ModelResult<Vec<Self>> {
        let sessions = Entity::find()
            .filter(sessions::Column::UserId.eq(user_id))
            .order_by_desc(sessions::Column::Id)
            .all(db)
            .await?;
        // Not filtered in the query: `SQLite` compares timestamps as text.
        let now = Local::now();
        Ok(sessions
            .into_iter()
            .filter(|session| session.expires_at > now)
            .collect())
    }

    /// Ends the session with this public id if it belongs to the user.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn end_for_user(db: &DatabaseConnection, user_id: i64, pid: Uuid) -> ModelResult<()> {
        Entity::delete_many()
            .filter(sessions::Column::UserId.eq(user_id))
            .filter(sessions::Column::Pid.eq(pid))
            .exec(db)
            .await?;
        Ok(())
    }

    /// Deletes sessions that expired at least a day ago, and returns how many there were. The extra
    /// day covers all UTC offsets: `SQLite` compares timestamps as text.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn delete_expired(db: &DatabaseConnection) -> ModelResult<u64> {
        let deleted = Entity::delete_many()
            .filter(sessions::Column::ExpiresAt.lt(Local::now() - Duration::days(1)))
            .exec(db)
            .await?;
        Ok(deleted.rows_affected)
    }
}

fn truncate(user_agent: &str) -> String {
    user_agent.chars().take(MAX_USER_AGENT_LENGTH).collect()
}

/// The public id of the session that a JWT belongs to.
#[must_use]
pub fn session_pid(claims: &UserClaims) -> Option<Uuid> {
    let session = claims.claims.get(CLAIM)?.as_str()?;
    Uuid::parse_str(session).ok()
}
