pub mod access_log;
pub mod account;
pub mod api;
{%- if embedded_assets == "false" %}
pub mod assets;
{%- endif %}
pub mod auth;
pub mod detached;
{%- if embedded_assets == "true" %}
pub mod frontend;
{%- endif %}
pub mod health;
pub mod json_errors;
pub mod middleware;
{%- if openapi == "true" %}
pub mod openapi;
{%- endif %}
pub mod rate_limit;
pub mod session;
pub mod session_cookie;
