{% if starter == "lightweight" -%}
mod home;
{%- else -%}
mod auth;
mod prepare_data;
{%- endif %}
