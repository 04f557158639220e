pub mod auth;
pub mod settings;
