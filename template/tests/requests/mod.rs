#![allow(clippy::future_not_send)] // the test client's requests stay on the test's thread

mod account;
{%- if starter == "saas-client" %}
mod api;
{%- endif %}
mod auth;
{%- if starter == "saas-client" and embedded_assets == "true" %}
mod frontend;
{%- endif %}
{%- if database == "postgres" %}
mod nul;
{%- endif %}
mod prepare_data;
{%- if starter == "saas-client" %}
mod session;
{%- endif %}
