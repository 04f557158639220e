pub mod access_log;
pub mod account;
pub mod account_pages;
pub mod auth;
pub mod detached;
pub mod health;
pub mod json_errors;
pub mod middleware;
{%- if openapi == "true" %}
pub mod openapi;
{%- endif %}
pub mod page;
pub mod rate_limit;
pub mod session_cookie;
pub mod session_pages;
