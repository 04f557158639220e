{% if starter == "lightweight" -%}
pub mod home;
{%- else -%}
{% if starter == "saas-client" -%}
pub mod api;
{% endif -%}
pub mod auth;
{%- if starter == "saas-client" and embedded_assets %}
pub mod frontend;
{%- endif %}
{%- endif %}
pub mod middleware;
