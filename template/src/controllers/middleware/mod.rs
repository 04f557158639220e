{% if starter == "saas-server" -%}
mod csrf;
mod error_pages;
mod request_limit;

pub use csrf::Csrf;
pub use error_pages::ErrorPages;
pub use request_limit::RequestLimit;
{%- else -%}
mod request_limit;

pub use request_limit::RequestLimit;
{%- endif %}
