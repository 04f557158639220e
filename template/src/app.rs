{% if starter == "lightweight" -%}
use async_trait::async_trait;
use loco_rs::{
    app::{AppContext, Hooks, Initializer},
    bgworker::{BackgroundWorker, Queue},
    boot::{create_app, BootResult, StartMode},
    config::Config,
    controller::AppRoutes,
    environment::Environment,
    task::Tasks,
    Result,
};

use crate::{controllers, memory, tasks, workers::downloader::DownloadWorker};
{%- else -%}
use std::path::Path;

use async_trait::async_trait;
use loco_rs::{
    app::{AppContext, Hooks, Initializer},
    bgworker::{BackgroundWorker, Queue},
    boot::{create_app, BootResult, StartMode},
    config::Config,
    controller::AppRoutes,
    db::{self, truncate_table},
    environment::Environment,
    task::Tasks,
    Result,
};
use migration::Migrator;

{% if starter == "saas-server" -%}
use crate::{
    controllers, initializers, memory, models::users, tasks, workers::downloader::DownloadWorker,
};
{%- else -%}
use crate::{controllers, memory, models::users, tasks, workers::downloader::DownloadWorker};
{%- endif %}
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

    async fn initializers(_ctx: &AppContext) -> Result<Vec<Box<dyn Initializer>>> {
{%- if starter == "saas-server" %}
        // Each of the last three stands around those before it.
        Ok(vec![
            Box::new(memory::MemoryInitializer),
            Box::new(initializers::csrf::Csrf),
            Box::new(initializers::error_pages::ErrorPages),
            Box::new(initializers::view_engine::ViewEngineInitializer),
        ])
{%- else %}
        Ok(vec![Box::new(memory::MemoryInitializer)])
{%- endif %}
    }

    fn routes(_ctx: &AppContext) -> AppRoutes {
        AppRoutes::with_default_routes() // controller routes below
{%- if starter == "lightweight" %}
            .add_route(controllers::home::routes())
{%- else %}
            .add_route(controllers::auth::routes())
{%- endif %}
{%- if starter == "saas-server" %}
            .add_route(controllers::account::routes())
            .add_route(controllers::page::routes())
            .add_route(controllers::session::routes())
{%- endif %}
    }

    async fn connect_workers(ctx: &AppContext, queue: &Queue) -> Result<()> {
        queue.register(DownloadWorker::build(ctx)).await?;
        Ok(())
    }

    fn register_tasks(tasks: &mut Tasks) {
        tasks.register(tasks::memory::Memory);
{%- unless starter == "lightweight" %}
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
