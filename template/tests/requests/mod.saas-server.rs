#![allow(clippy::future_not_send)] // the test client's requests stay on the test's thread

mod account;
mod account_pages;
mod auth;
mod health;
mod json_errors;
{%- if database == "postgres" %}
mod nul;
{%- endif %}
{%- if openapi == "true" %}
mod openapi;
{%- endif %}
mod page;
mod prepare_data;
mod session_pages;
