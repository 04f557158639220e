{% if queue_kind != "" -%}
mod jobs_tidy;
{% endif -%}
mod memory;
mod schedule;
{%- unless starter == "lightweight" %}
mod user_clear_tokens;
mod user_create;
mod user_delete;
{%- endunless %}
