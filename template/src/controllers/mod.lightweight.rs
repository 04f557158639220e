pub mod access_log;
pub mod home;
pub mod unmatched;
