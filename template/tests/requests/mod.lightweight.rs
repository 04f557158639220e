mod home;
mod json_errors;
{%- if openapi == "true" %}
mod openapi;
{%- endif %}
