pub mod _entities;
pub mod rate_limits;
pub mod sessions;
pub mod users;
