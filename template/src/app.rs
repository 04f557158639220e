{% unless starter == "lightweight" -%}
use std::path::Path;

{% endunless -%}
use async_trait::async_trait;
use axum::Router;
use loco_rs::{
    app::{AppContext, Hooks, Initializer},
{%- unless starter == "lightweight" %}
    auth::jwt::JWT,
{%- endunless %}
    bgworker::{BackgroundWorker, Queue},
    boot::{create_app, BootResult, ServeParams, StartMode},
    config::Config,
    controller::{
{%- if starter == "saas-server" %}
        middleware::{default_middleware_stack, MiddlewareLayer, MiddlewareStackExt},
{%- else %}
        middleware::{default_middleware_stack, MiddlewareLayer},
{%- endif %}
        AppRoutes,
    },
{%- unless starter == "lightweight" %}
    db::{self, truncate_table},
{%- endunless %}
    environment::Environment,
    task::Tasks,
{%- if starter == "lightweight" %}
    Result,
};
{%- else %}
    Error, Result,
};
use migration::Migrator;
use serde_json::Map;
{%- endif %}

{% if starter == "lightweight" -%}
use crate::{controllers, memory, shutdown, tasks, workers::downloader::DownloadWorker};
{%- elsif starter == "saas-server" -%}
use crate::{
    controllers, initializers, memory, models::users, shutdown, tasks,
    workers::downloader::DownloadWorker,
};
{%- else -%}
use crate::{
    controllers, memory, models::users, shutdown, tasks, workers::downloader::DownloadWorker,
};
{%- endif %}

pub struct App;

#[async_trait]
impl Hooks for App {
    fn app_name() -> &'static str {
        env!("CARGO_CRATE_NAME")
    }

    fn app_version() -> String {
        let sha = option_env!("BUILD_SHA").or(option_env!("GITHUB_SHA"));
        format!("{} ({})", env!("CARGO_PKG_VERSION"), sha.unwrap_or("dev"))
    }

    async fn boot(
        mode: StartMode,
        environment: &Environment,
        config: Config,
    ) -> Result<BootResult> {
{%- if starter == "lightweight" %}
        create_app::<Self>(mode, environment, config).await
{%- else %}
        create_app::<Self, Migrator>(mode, environment, config).await
{%- endif %}
    }

    async fn serve(app: Router, ctx: &AppContext, params: &ServeParams) -> Result<()> {
        shutdown::serve::<Self>(app, ctx, params).await
    }
{%- unless starter == "lightweight" %}

    async fn before_run(ctx: &AppContext) -> Result<()> {
        // A secret that is not Base64 would otherwise be found by the first login.
        let jwt = ctx.config.get_jwt_config()?;
        JWT::new(&jwt.secret)
            .generate_token(jwt.expiration, String::new(), Map::new())
            .map_err(|err| Error::Message(format!("auth.jwt.secret in config/*.yaml: {err}")))?;
        Ok(())
    }
{%- endunless %}

    async fn initializers(_ctx: &AppContext) -> Result<Vec<Box<dyn Initializer>>> {
{%- if starter == "saas-server" %}
        Ok(vec![
            Box::new(initializers::view_engine::ViewEngineInitializer),
            Box::new(memory::MemoryInitializer),
{%- if memory_metrics == "true" or heap_profiling == "true" %}
            Box::new(memory::OnCallInitializer),
{%- endif %}
        ])
{%- elsif memory_metrics == "true" or heap_profiling == "true" %}
        Ok(vec![
            Box::new(memory::MemoryInitializer),
            Box::new(memory::OnCallInitializer),
        ])
{%- else %}
        Ok(vec![Box::new(memory::MemoryInitializer)])
{%- endif %}
    }

    fn middlewares(ctx: &AppContext) -> Vec<Box<dyn MiddlewareLayer>> {
        let mut middlewares = default_middleware_stack(ctx);
{%- if starter == "saas-server" or starter == "saas-client" and embedded_assets == "false" %}
        // Each stands around those before it: static files are compressed, too.
        middlewares.sort_by_key(|middleware| middleware.name() != "static");
{%- endif %}
        // The first is the innermost: what it answers is logged, and gets its CORS headers.
        let request_limit =
            controllers::middleware::RequestLimit::new(&ctx.config, &Self::routes(ctx));
        middlewares.insert(0, Box::new(request_limit));
{%- if starter == "saas-server" %}
        middlewares.insert(1, Box::new(controllers::middleware::Csrf::new(&ctx.config)));
        // Around all that can fail, and within what gives each answer its headers.
        middlewares.insert_before(
            "secure_headers",
            Box::new(controllers::middleware::ErrorPages),
        );
{%- endif %}
        middlewares
    }

    fn routes(_ctx: &AppContext) -> AppRoutes {
        AppRoutes::with_default_routes() // controller routes below
{%- if starter == "lightweight" %}
            .add_route(controllers::home::routes())
{%- else %}
            .add_route(controllers::auth::routes())
{%- if starter == "saas-client" %}
            .add_route(controllers::api::routes())
{%- if embedded_assets == "true" %}
            .add_route(controllers::frontend::routes())
{%- endif %}
{%- elsif starter == "saas-server" %}
            .add_route(controllers::account::routes())
            .add_route(controllers::page::routes())
            .add_route(controllers::session::routes())
{%- endif %}
{%- endif %}
    }

    async fn connect_workers(ctx: &AppContext, queue: &Queue) -> Result<()> {
        queue.register(DownloadWorker::build(ctx)).await?;
        Ok(())
    }

    fn register_tasks(tasks: &mut Tasks) {
{%- if queue_kind != "" %}
        tasks.register(tasks::jobs_tidy::JobsTidy);
{%- endif %}
        tasks.register(tasks::memory::Memory);
{%- unless starter == "lightweight" %}
        tasks.register(tasks::user_clear_tokens::UserClearTokens);
        tasks.register(tasks::user_create::UserCreate);
        tasks.register(tasks::user_delete::UserDelete);
{%- endunless %}
        // tasks-inject (do not remove)
    }
{%- unless starter == "lightweight" %}

    async fn truncate(ctx: &AppContext) -> Result<()> {
        truncate_table(&ctx.db, users::Entity).await?;
        Ok(())
    }

    async fn seed(ctx: &AppContext, base: &Path) -> Result<()> {
        let users = base.join("users.yaml").display().to_string();
        db::seed::<users::ActiveModel>(&ctx.db, &users).await
    }
{%- endunless %}
}
