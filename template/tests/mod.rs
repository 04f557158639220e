mod memory;
{%- unless starter == "lightweight" %}
mod models;
{%- endunless %}
mod requests;
mod tasks;
{%- if starter == "saas-server" %}
mod views;
{%- endif %}
mod workers;
