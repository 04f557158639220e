{% if starter == "lightweight" %}pub mod home;{% else %}pub mod auth;{% endif %}
pub mod middleware;
