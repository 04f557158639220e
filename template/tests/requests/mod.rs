{% if starter == "lightweight" -%}
mod home;
{%- else -%}
#![allow(clippy::future_not_send)] // the test client's requests stay on the test's thread

{% if starter == "saas-client" -%}
mod api;
{% elsif starter == "saas-server" -%}
mod account;
{% endif -%}
mod auth;
{%- if starter == "saas-client" and embedded_assets == "true" %}
mod frontend;
{%- elsif starter == "saas-server" %}
mod page;
{%- endif %}
mod prepare_data;
{%- if starter == "saas-server" %}
mod session;
{%- endif %}
{%- endif %}
