{% if database == "sqlite" -%}
mod db_backup;
{% endif -%}
{% if queue_kind != "" -%}
mod jobs_tidy;
{% endif -%}
mod schedule;
mod user_clear_tokens;
mod user_create;
mod user_delete;
mod user_logout;
