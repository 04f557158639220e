pub mod access_log;
pub mod home;
pub mod json_errors;
{%- if openapi == "true" %}
pub mod openapi;
{%- endif %}
