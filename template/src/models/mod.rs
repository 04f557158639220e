pub mod _entities;
pub mod email_changes;
pub mod rate_limits;
pub mod sessions;
pub mod used_links;
pub mod users;
