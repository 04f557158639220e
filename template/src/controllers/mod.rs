pub mod access_log;
pub mod account;
pub mod attempt;
pub mod auth;
pub mod detached;
pub mod middleware;
pub mod unmatched;
