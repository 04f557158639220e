{% if starter == "lightweight" -%}
mod home;
{%- else -%}
#![allow(clippy::future_not_send)] // the test client's requests stay on the test's thread

mod auth;
mod prepare_data;
{%- endif %}
