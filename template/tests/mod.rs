mod environment;
mod logs;
mod mailers;
mod memory;
mod models;
mod requests;
mod tasks;
{%- if starter == "saas-server" %}
mod views;
{%- endif %}
mod workers;
