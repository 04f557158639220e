{% if memory_metrics == "true" or heap_profiling == "true" -%}
use axum::Router;
{% endif -%}
use loco_rs::{
    doctor::{Check, CheckStatus},
    prelude::*,
};

{% if memory_metrics == "true" or heap_profiling == "true" -%}
#[cfg(not(target_env = "msvc"))]
use super::actions::{self, Turn};
{% endif -%}
{% if memory_metrics == "true" -%}
#[cfg(not(target_env = "msvc"))]
use super::guard;
{% endif -%}
{% if heap_profiling == "true" -%}
#[cfg(not(target_env = "msvc"))]
use super::profiling;
{% endif -%}
{% if memory_metrics == "true" -%}
use super::{admin, metrics, Allocator, Settings};
{%- elsif heap_profiling == "true" -%}
use super::{admin, Allocator, Settings};
{%- else -%}
use super::Allocator;
{%- endif %}

{% if memory_metrics == "true" or heap_profiling == "true" -%}
/// Logs at start which allocator runs and with which options, and opens the listener for the people
/// on call where the settings ask for it.
{%- else -%}
/// Logs at start which allocator runs and with which options.
{%- endif %}
pub struct MemoryInitializer;

#[async_trait]
impl Initializer for MemoryInitializer {
    fn name(&self) -> String {
        "memory".to_string()
    }

    async fn before_run(&self, {% if memory_metrics == "true" or heap_profiling == "true" %}ctx{% else %}_ctx{% endif %}: &AppContext) -> Result<()> {
        // The service works without this knowledge: say what is wrong and go on.
        match Allocator::read() {
            Ok(allocator) => allocator.log(),
            Err(err) => tracing::warn!(%err, "cannot read the allocator's state"),
        }
{%- if memory_metrics == "true" or heap_profiling == "true" %}

        let settings = Settings::read(&ctx.config)?;
{%- if memory_metrics == "true" %}
        if settings.has_listener() {
            let routes = metrics::routes(ctx)?;
            #[cfg(not(target_env = "msvc"))]
            let routes = with_jemalloc(routes);
            admin::start(&settings, routes).await?;
        }
        #[cfg(not(target_env = "msvc"))]
        guard::start(&settings);
{%- else %}
        let routes = Router::new();
        #[cfg(not(target_env = "msvc"))]
        let routes = with_jemalloc(routes);
        admin::start(&settings, routes).await?;
{%- endif %}
{%- endif %}
        Ok(())
    }
{%- if memory_metrics == "true" %}

    async fn after_routes(&self, router: Router, ctx: &AppContext) -> Result<Router> {
        Ok(if Settings::read(&ctx.config)?.has_listener() {
            metrics::http::count(router)
        } else {
            router
        })
    }
{%- endif %}

    async fn check(&self, _ctx: &AppContext) -> Result<Option<Check>> {
        let problems = Allocator::read()?.problems();
        Ok(Some(if problems.is_empty() {
            Check {
                status: CheckStatus::Ok,
                message: "memory profile: in effect".to_string(),
                description: None,
            }
        } else {
            Check {
                status: CheckStatus::NotOk,
                message: "memory profile: not in effect".to_string(),
                description: Some(problems.join("\n")),
            }
        }))
    }
}
{%- if memory_metrics == "true" or heap_profiling == "true" %}

/// These routes, and those for what can be done to jemalloc.
#[cfg(not(target_env = "msvc"))]
fn with_jemalloc(routes: Router) -> Router {
    let turn = Turn::default();
{%- if heap_profiling == "true" %}
    routes
        .merge(actions::routes(&turn))
        .merge(profiling::routes(&turn))
{%- else %}
    routes.merge(actions::routes(&turn))
{%- endif %}
}
{%- endif %}
