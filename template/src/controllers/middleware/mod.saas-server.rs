mod csrf;
mod error_pages;
mod sessions;

pub use csrf::Csrf;
pub use error_pages::ErrorPages;
pub use sessions::{token_cookie, Sessions};
