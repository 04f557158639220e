//! Who is logged in, and where. A JWT that a login gave is worth as much as its session.

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

/// The claim of a JWT that names its session.
const CLAIM: &str = "session";
/// Characters that are kept of what a browser says of itself.
const USER_AGENT_LENGTH: usize = 200;

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Begins a session, and returns its JWT.
    ///
    /// # Errors
    ///
    /// When the user's password was changed meanwhile, the JWT cannot be signed, or the database fails.
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
        let life = std::time::Duration::from_secs(jwt.expiration);
        let session = ActiveModel {
            pid: Set(pid),
            user_id: Set(user.id),
            user_agent: Set(user_agent.map(shortened)),
            expires_at: Set((Local::now() + life).into()),
            ..Default::default()
        };
        let transaction = db.begin().await?;
        // A new password ends the sessions that are there: none begins behind its back.
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

    /// Begins a session in the place of one that the user has just begun in the same browser.
    ///
    /// # Errors
    ///
    /// When there is none, the JWT cannot be signed, or the database fails.
    pub(super) async fn begin_again(
        db: &DatabaseConnection,
        user: &users::Model,
        user_agent: Option<&str>,
        jwt: &config::JWT,
    ) -> ModelResult<String> {
        let last = Entity::find()
            .filter(sessions::Column::UserId.eq(user.id))
            .order_by_desc(sessions::Column::Id);
        let last = last.one(db).await?.ok_or(ModelError::EntityNotFound)?;
        if last.user_agent != user_agent.map(shortened) || !used_links::is_recent(last.created_at) {
            return Err(ModelError::EntityNotFound);
        }
        last.delete(db).await?;
        Self::begin(db, user, user_agent, jwt).await
    }

    /// Whether a JWT with these claims still stands for its user: the user is there, and the session
    /// has not ended.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn is_open(db: &DatabaseConnection, claims: &UserClaims) -> ModelResult<bool> {
        let Ok(user) = Uuid::parse_str(&claims.pid) else {
            return Ok(false);
        };
        let user = users::Entity::find().filter(users::users::Column::Pid.eq(user));
        // `users::Model::generate_jwt` makes one without.
        if !claims.claims.contains_key(CLAIM) {
            return Ok(user.count(db).await? > 0);
        }
        let Some(session) = session_of(claims) else {
            return Ok(false);
        };
        let session = user
            .inner_join(Entity)
            .filter(sessions::Column::Pid.eq(session));
        Ok(session.count(db).await? > 0)
    }

    /// Ends the session of a JWT.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn end(db: &DatabaseConnection, claims: &UserClaims) -> ModelResult<()> {
        if let Some(session) = session_of(claims) {
            Entity::delete_many()
                .filter(sessions::Column::Pid.eq(session))
                .exec(db)
                .await?;
        }
        Ok(())
    }

    /// Ends all sessions of a user, but the one with this public id.
    ///
    /// # Errors
    ///
    /// When the database fails.
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

    /// The sessions of a user, the newest first.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn of_user(db: &DatabaseConnection, user_id: i64) -> ModelResult<Vec<Self>> {
        let sessions = Entity::find()
            .filter(sessions::Column::UserId.eq(user_id))
            .order_by_desc(sessions::Column::Id)
            .all(db)
            .await?;
        // Not in the query: `SQLite` compares times as text.
        let now = Local::now();
        Ok(sessions
            .into_iter()
            .filter(|session| session.expires_at > now)
            .collect())
    }

    /// Ends the session with this public id, if it is this user's.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn end_of_user(db: &DatabaseConnection, user_id: i64, pid: Uuid) -> ModelResult<()> {
        Entity::delete_many()
            .filter(sessions::Column::UserId.eq(user_id))
            .filter(sessions::Column::Pid.eq(pid))
            .exec(db)
            .await?;
        Ok(())
    }

    /// Deletes the sessions that expired a day ago or earlier, and says how many. The day covers the
    /// offsets of all time zones: `SQLite` compares times as text.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn delete_expired(db: &DatabaseConnection) -> ModelResult<u64> {
        let deleted = Entity::delete_many()
            .filter(sessions::Column::ExpiresAt.lt(Local::now() - Duration::days(1)))
            .exec(db)
            .await?;
        Ok(deleted.rows_affected)
    }
}

fn shortened(user_agent: &str) -> String {
    user_agent.chars().take(USER_AGENT_LENGTH).collect()
}

/// The public id of the session of a JWT.
#[must_use]
pub fn session_of(claims: &UserClaims) -> Option<Uuid> {
    let session = claims.claims.get(CLAIM)?.as_str()?;
    Uuid::parse_str(session).ok()
}
