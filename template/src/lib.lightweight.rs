pub mod app;
pub mod controllers;
pub mod data;
pub mod environment;
pub mod initializers;
pub mod logs;
{%- if openapi == "true" %}
pub mod openapi;
{%- endif %}
pub mod tasks;
pub mod views;
pub mod workers;
