{% if starter == "lightweight" %}pub mod home;{% elsif starter == "saas-server" -%}
pub mod account;
pub mod auth;
pub mod page;
pub mod session;
{%- else %}pub mod auth;{% endif %}
