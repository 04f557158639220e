{% if starter == "saas-server" -%}
pub mod view_engine;
{%- endif %}
