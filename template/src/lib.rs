pub mod app;
pub mod common;
pub mod controllers;
pub mod data;
{%- unless starter == "lightweight" %}
pub mod dtos;
{%- endunless %}
pub mod initializers;
{%- unless starter == "lightweight" %}
pub mod mailers;
{%- endunless %}
pub mod memory;
{%- unless starter == "lightweight" %}
pub mod models;
{%- endunless %}
pub mod shutdown;
pub mod tasks;
pub mod views;
pub mod workers;
