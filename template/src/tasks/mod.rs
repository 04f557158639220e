{% if queue_kind != "" -%}
pub mod jobs_tidy;
{% endif -%}
{% unless starter == "lightweight" -%}
pub mod user_clear_tokens;
pub mod user_create;
pub mod user_delete;

{% endunless -%}
pub use crate::memory::task as memory;
