mod rules;
{%- unless starter == "lightweight" %}
mod services;
{%- endunless %}
