{% if starter == "lightweight" -%}
pub mod home;
{%- elsif starter == "saas-server" -%}
pub mod account;
pub mod auth;
{%- elsif starter == "saas-client" -%}
pub mod api;
pub mod auth;
{%- if embedded_assets == "true" %}
pub mod frontend;
{%- endif %}
{%- else -%}
pub mod auth;
{%- endif %}
pub mod middleware;
{%- if starter == "saas-server" %}
pub mod page;
pub mod session;
{%- endif %}
