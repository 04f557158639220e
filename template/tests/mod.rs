{% unless starter == "lightweight" -%}
mod mailers;
{% endunless -%}
mod memory;
{%- unless starter == "lightweight" %}
mod models;
{%- endunless %}
mod requests;
mod shutdown;
mod tasks;
{%- if starter == "saas-server" %}
mod views;
{%- endif %}
mod workers;
