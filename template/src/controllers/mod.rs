pub mod access_log;
pub mod account;
pub mod attempt;
pub mod auth;
pub mod detached;
pub mod health;
pub mod json_errors;
pub mod middleware;
