pub mod access_log;
pub mod account;
pub mod auth;
pub mod detached;
pub mod health;
pub mod json_errors;
pub mod middleware;
pub mod rate_limit;
