pub mod _entities;
pub mod sessions;
pub mod users;
