{% if database == "sqlite" -%}
pub mod db_backup;
{% endif -%}
{% if queue_kind != "" -%}
pub mod jobs_tidy;
{% endif -%}
{% if openapi == "true" -%}
pub mod openapi;
{% endif -%}
pub mod user_clear_tokens;
pub mod user_create;
pub mod user_delete;
pub mod user_logout;
