{% if starter == "saas-client" -%}
mod csrf;
{% endif -%}
mod link_tokens;
{%- if database == "postgres" %}
mod nul;
{%- endif %}
mod sessions;

{% if starter == "saas-client" -%}
pub use csrf::Csrf;
{% endif -%}
pub use link_tokens::LinkTokens;
{%- if database == "postgres" %}
pub use nul::Nul;
{%- endif %}
pub use sessions::{% if starter == "saas-client" %}{token_cookie, Sessions}{% else %}Sessions{% endif %};
