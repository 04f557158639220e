pub mod account;
pub mod auth;
pub mod middleware;
pub mod page;
pub mod session;
