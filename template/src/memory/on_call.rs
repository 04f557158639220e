use axum::Router;
{%- if memory_metrics == "true" %}
use loco_rs::{app::Hooks, prelude::*};
{%- else %}
use loco_rs::prelude::*;
{%- endif %}

{% if memory_metrics == "true" and heap_profiling == "true" -%}
#[cfg(not(target_env = "msvc"))]
use super::{actions, guard, profiling};
use super::{admin, metrics, Settings};
use crate::app::App;
{%- elsif memory_metrics == "true" -%}
#[cfg(not(target_env = "msvc"))]
use super::{actions, guard};
use super::{admin, metrics, Settings};
use crate::app::App;
{%- else -%}
#[cfg(not(target_env = "msvc"))]
use super::{actions, profiling};
use super::{admin, Settings};
{%- endif %}

/// Opens the listener for the people on call, where the settings ask for it.
pub struct OnCallInitializer;

#[async_trait]
impl Initializer for OnCallInitializer {
    fn name(&self) -> String {
        "memory-on-call".to_string()
    }
{% if memory_metrics == "true" %}
    async fn before_run(&self, ctx: &AppContext) -> Result<()> {
        let settings = Settings::read(&ctx.config)?;
        if settings.has_listener() {
            let routes = with_jemalloc(metrics::routes(ctx)?);
            admin::start(&settings, routes).await?;
        }
        #[cfg(not(target_env = "msvc"))]
        guard::start(&settings);
        Ok(())
    }

    async fn after_routes(&self, router: Router, ctx: &AppContext) -> Result<Router> {
        if Settings::read(&ctx.config)?.has_listener() {
            metrics::http::count(router, &App::routes(ctx))
        } else {
            Ok(router)
        }
    }
{%- else %}
    async fn before_run(&self, ctx: &AppContext) -> Result<()> {
        let settings = Settings::read(&ctx.config)?;
        admin::start(&settings, with_jemalloc(Router::new())).await
    }
{%- endif %}
}

/// These routes, and those for what can be done to jemalloc.
#[cfg(not(target_env = "msvc"))]
fn with_jemalloc(routes: Router) -> Router {
    let turn = actions::Turn::default();
{%- if heap_profiling == "true" %}
    routes
        .merge(actions::routes(&turn))
        .merge(profiling::routes(&turn))
{%- else %}
    routes.merge(actions::routes(&turn))
{%- endif %}
}

#[cfg(target_env = "msvc")]
const fn with_jemalloc(routes: Router) -> Router {
    routes
}
