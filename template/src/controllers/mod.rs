pub mod account;
{%- if starter == "saas-client" %}
pub mod api;
{%- endif %}
{%- if starter == "saas-client" and embedded_assets == "false" %}
pub mod assets;
{%- endif %}
pub mod attempt;
pub mod auth;
pub mod detached;
{%- if starter == "saas-client" and embedded_assets == "true" %}
pub mod frontend;
{%- endif %}
pub mod middleware;
{%- if starter == "saas-client" %}
pub mod session;
pub mod session_cookie;
{%- endif %}
