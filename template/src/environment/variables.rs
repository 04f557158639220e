{%- if starter == "lightweight" -%}
use super::{rules, Rule, Variable};
{%- else -%}
use super::{rules, services, Rule, Variable};
{%- endif %}

/// Every variable in `config/production.yaml`, with its rule.
pub const VARIABLES: &[Variable] = &[
    Variable::optional("LOG_LEVEL", Rule::Is(rules::log_level), "info"),
    Variable::optional("PORT", Rule::Is(rules::number::<1, 65535>), "5150"),
    Variable::optional("BINDING", Rule::Is(rules::binding), "0.0.0.0"),
    Variable::required("HOST", Rule::Is(rules::origin), "https://example.com"),
    Variable::optional(
        "CORS_ORIGIN",
        Rule::Is(rules::origins),
        "https://example.com",
    ),
    Variable::optional("BEHIND_PROXY", Rule::Is(rules::boolean), "true"),
{%- if openapi == "true" %}
    Variable::optional("OPENAPI", Rule::Is(rules::boolean), "true"),
{%- endif %}
{%- unless starter == "lightweight" %}
    Variable::required(
        "JWT_SECRET",
        Rule::Is(services::secret),
        "$(openssl rand -base64 48)",
    ),
    Variable::required(
        "MAILER_HOST",
        Rule::Is(services::mail_server),
        "smtp.example.com",
    ),
    Variable::optional("MAILER_PORT", Rule::Is(rules::number::<1, 65535>), "587"),
    Variable::required("MAILER_USER", Rule::AnyText, "user"),
    Variable::required("MAILER_PASSWORD", Rule::AnyText, "password"),
    Variable::required(
        "MAILER_FROM",
        Rule::Is(services::mailbox),
        "\"Example <no-reply@example.com>\"",
    ),
{%- if database == "sqlite" %}
    Variable::required("DATABASE_URL", Rule::Url, "sqlite://data.sqlite?mode=rwc"),
{%- else %}
    Variable::required(
        "DATABASE_URL",
        Rule::Url,
        "postgres://user:password@host/database",
    ),
{%- endif %}
    Variable::optional("DB_LOGGING", Rule::Is(rules::boolean), "false"),
    Variable::optional(
        "DB_CONNECT_TIMEOUT",
        Rule::Is(rules::number::<100, 600_000>),
        "5000",
    ),
    Variable::optional(
        "DB_IDLE_TIMEOUT",
        Rule::Is(rules::number::<10_000, 86_400_000>),
        "600000",
    ),
    Variable::optional(
        "DB_MIN_CONNECTIONS",
        Rule::Is(rules::number::<0, 1000>),
        "1",
    ),
    Variable::optional(
        "DB_MAX_CONNECTIONS",
        Rule::Is(rules::number::<1, 1000>),
        "10",
    ),
    Variable::optional("DB_AUTO_MIGRATE", Rule::Is(rules::boolean), "true"),
    Variable::may_be_empty("HEARTBEAT_FILE", Rule::AnyText, "/tmp/heartbeat"),
{%- if queue_kind == "Redis" %}
    Variable::required("REDIS_URL", Rule::Url, "redis://host"),
{%- elsif queue_kind == "Postgres" %}
    Variable::required(
        "QUEUE_URL",
        Rule::Url,
        "postgres://user:password@host/database",
    ),
{%- elsif queue_kind == "Sqlite" %}
    Variable::required("QUEUE_URL", Rule::Url, "sqlite://queue.sqlite?mode=rwc"),
{%- endif %}
{%- endunless %}
{%- unless memory_profile == "system" %}
    Variable::may_be_empty(
        "MEMORY_ADMIN_BIND",
        Rule::Is(rules::socket_address),
        "127.0.0.1:5151",
    ),
    Variable::may_be_empty(
        "MEMORY_ADMIN_TOKEN",
        Rule::Is(rules::token),
        "$(openssl rand -hex 32)",
    ),
    Variable::optional(
        "MEMORY_BUDGET_PERCENT",
        Rule::Is(rules::number::<1, 90>),
        "45",
    ),
    Variable::optional(
        "MEMORY_GUARD_PERCENT",
        Rule::Is(rules::number::<0, 100>),
        "80",
    ),
    Variable::may_be_empty("MEMORY_BLACK_BOX", Rule::AnyText, "/tmp/black_box"),
{%- endunless %}
    Variable::optional(
        "REQUESTS_IN_FLIGHT",
        Rule::Is(rules::number::<1, 1_000_000>),
        "64",
    ),
    Variable::optional("SHUTDOWN_DRAIN", Rule::Is(rules::number::<0, 3600>), "5"),
    Variable::optional("SHUTDOWN_TIMEOUT", Rule::Is(rules::number::<0, 3600>), "20"),
];
