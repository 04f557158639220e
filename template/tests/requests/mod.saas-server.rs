#![allow(clippy::future_not_send)] // the test client's requests stay on the test's thread

mod account;
mod auth;
mod page;
mod prepare_data;
mod session;
