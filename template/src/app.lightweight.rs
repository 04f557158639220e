use async_trait::async_trait;
use axum::Router;
use loco_rs::{
    app::{AppContext, Hooks, Initializer},
    bgworker::{BackgroundWorker, Queue},
    boot::{create_app, BootResult, ServeParams, StartMode},
    config::Config,
    controller::{
        middleware::{default_middleware_stack, MiddlewareLayer, MiddlewareStackExt},
        AppRoutes,
    },
    environment::Environment,
    task::Tasks,
    Result,
};

use crate::{
    controllers::{self, access_log::AccessLog, json_errors::JsonErrors},
    environment, logs, tasks,
    workers::downloader::DownloadWorker,
};

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
        create_app::<Self>(mode, environment, config).await
    }

    fn init_logger(ctx: &AppContext) -> Result<bool> {
        logs::init::<Self>(&ctx.config.logger)
    }

    async fn load_config(environment: &Environment) -> Result<Config> {
        environment::load(environment)
    }

    async fn serve(app: Router, ctx: &AppContext, params: &ServeParams) -> Result<()> {
        memory::serve::<Self>(app, ctx, params).await
    }

    async fn initializers(_ctx: &AppContext) -> Result<Vec<Box<dyn Initializer>>> {
        Ok(vec![Box::new(memory::MemoryInitializer)])
    }

    fn middlewares(ctx: &AppContext) -> Vec<Box<dyn MiddlewareLayer>> {
        let mut middlewares = default_middleware_stack(ctx);
        // axum clones handlers and their state for every layer around them; this clones them once.
        middlewares.insert(0, Box::new(memory::SharedHandlers));
        middlewares.insert(0, Box::new(JsonErrors));
        // Inside the logger's span.
        middlewares.insert_before("logger", Box::new(AccessLog));
        middlewares
    }

    fn routes({% unless openapi == "true" %}_{% endunless %}ctx: &AppContext) -> AppRoutes {
        AppRoutes::with_default_routes() // controller routes below
            .add_route(controllers::home::routes())
{%- if openapi == "true" %}
            .add_route(controllers::openapi::routes(ctx))
{%- endif %}
    }

    async fn connect_workers(ctx: &AppContext, queue: &Queue) -> Result<()> {
        queue.register(DownloadWorker::build(ctx)).await?;
        Ok(())
    }

    fn register_tasks(tasks: &mut Tasks) {
        tasks.register(tasks::MemoryTask);
{%- if openapi == "true" %}
        tasks.register(tasks::openapi::OpenApi);
{%- endif %}
        // tasks-inject (do not remove)
    }
}
