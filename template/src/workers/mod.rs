pub mod downloader;
{%- unless starter == "lightweight" %}
pub mod watched;
{%- endunless %}
