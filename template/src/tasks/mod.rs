{% unless starter == "lightweight" -%}
pub mod user_create;
pub mod user_delete;

{% endunless -%}
pub use crate::memory::task as memory;
