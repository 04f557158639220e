pub mod auth;
pub mod language;
pub mod settings;
