mod memory;
{%- unless starter == "lightweight" %}
mod models;
{%- endunless %}
mod requests;
mod shutdown;
mod tasks;
mod workers;
