pub use ::memory::MemoryTask;
{%- if openapi == "true" %}
pub mod openapi;
{%- endif %}
