{% if starter == "saas-client" -%}
pub mod api;
{% endif -%}
pub mod attempt;
pub mod auth;
pub mod detached;
{%- if starter == "saas-client" and embedded_assets == "true" %}
pub mod frontend;
{%- endif %}
pub mod middleware;
