{% if starter == "lightweight" %}pub mod home;{% else %}pub mod account;
pub mod auth;{% endif %}
{%- if starter == "saas-server" %}
pub mod page;
{%- endif %}
