mod sessions;

pub use sessions::Sessions;
