pub mod account;
pub mod attempt;
pub mod auth;
pub mod detached;
pub mod middleware;
