{% if starter == "saas-client" -%}
pub mod api;
{% endif -%}
pub mod attempt;
pub mod auth;
{%- if starter == "saas-client" and embedded_assets == "true" %}
pub mod frontend;
{%- endif %}
pub mod middleware;
