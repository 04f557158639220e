pub mod app;
pub mod controllers;
pub mod data;
pub mod dtos;
pub mod environment;
pub mod heartbeat;
pub mod initializers;
pub mod logs;
pub mod mailers;
pub mod models;
{%- if openapi == "true" %}
pub mod openapi;
{%- endif %}
pub mod tasks;
pub mod views;
pub mod workers;
