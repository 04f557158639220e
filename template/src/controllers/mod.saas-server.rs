pub mod account;
pub mod attempt;
pub mod auth;
pub mod detached;
pub mod middleware;
pub mod page;
pub mod session;
