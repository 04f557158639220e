mod csrf;
mod error_pages;

pub use csrf::Csrf;
pub use error_pages::ErrorPages;
