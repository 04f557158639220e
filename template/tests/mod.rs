mod memory;
{%- unless starter == "lightweight" %}
mod models;
{%- endunless %}
mod requests;
mod tasks;
mod workers;
