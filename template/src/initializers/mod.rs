{% if starter == "saas-server" -%}
pub mod csrf;
pub mod error_pages;
pub mod view_engine;
{%- endif %}
