mod csrf;
mod error_pages;
mod language;
mod link_tokens;
{%- if database == "postgres" %}
mod nul;
{%- endif %}
mod sessions;

pub use csrf::Csrf;
pub use error_pages::ErrorPages;
pub use language::{preferred_languages, MailLanguage, LANGUAGE_COOKIE};
pub use link_tokens::LinkTokens;
{%- if database == "postgres" %}
pub use nul::Nul;
{%- endif %}
pub use sessions::{jwt_cookie_name, Sessions};
