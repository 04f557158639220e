use std::path::Path;

use async_trait::async_trait;
use axum::Router;
use loco_rs::{
    app::{AppContext, Hooks, Initializer},
    auth::jwt::JWT,
    bgworker::{BackgroundWorker, Queue},
    boot::{create_app, BootResult, ServeParams, StartMode},
    config::Config,
    controller::{
        middleware::{default_middleware_stack, MiddlewareLayer, MiddlewareStackExt},
        AppRoutes,
    },
    db::{self, truncate_table},
    environment::Environment,
    mailer::MailerWorker,
    task::Tasks,
    Error, Result,
};
use migration::Migrator;
use serde_json::Map;

use crate::{
    controllers::{self, access_log::AccessLog, detached, json_errors::JsonErrors, middleware},
    environment, heartbeat, initializers, logs,
    models::{rate_limits, users},
    tasks,
    workers::{
        downloader::DownloadWorker,
        watched::{self, WatchedQueue},
    },
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
        create_app::<Self, Migrator>(mode, environment, config).await
    }

    async fn serve(app: Router, ctx: &AppContext, params: &ServeParams) -> Result<()> {
        memory::serve::<Self>(app, ctx, params).await?;
        detached::wait_for_all().await;
        Ok(())
    }

    fn init_logger(ctx: &AppContext) -> Result<bool> {
        logs::init::<Self>(&ctx.config.logger)
    }

    async fn load_config(environment: &Environment) -> Result<Config> {
        environment::load(environment)
    }

    async fn after_context(ctx: AppContext) -> Result<AppContext> {
        users::configure(&ctx.config)?;
        heartbeat::start(&ctx.config);
        watched::create_tables(&ctx).await;
{%- if traces == "true" and queue_kind != "" %}
        let ctx = memory::trace_jobs(ctx);
{%- endif %}
        Ok(ctx)
    }

    async fn before_run(ctx: &AppContext) -> Result<()> {
        // Otherwise the first login would be the first to notice a secret that is not Base64.
        let jwt = ctx.config.get_jwt_config()?;
        JWT::new(&jwt.secret)
            .generate_token(jwt.expiration, String::new(), Map::new())
            .map_err(|err| Error::Message(format!("auth.jwt.secret in config/*.yaml: {err}")))?;
        Ok(())
    }

    async fn initializers(_ctx: &AppContext) -> Result<Vec<Box<dyn Initializer>>> {
        Ok(vec![
            Box::new(initializers::view_engine::ViewEngineInitializer),
            Box::new(memory::MemoryInitializer),
        ])
    }

    fn middlewares(ctx: &AppContext) -> Vec<Box<dyn MiddlewareLayer>> {
        let mut middlewares = default_middleware_stack(ctx);
        // Each layer wraps those before it: with static files first, they are compressed, too.
        middlewares.sort_by_key(|middleware| middleware.name() != "static");
{%- if database == "postgres" %}
        middlewares.insert(0, Box::new(middleware::Nul));
{%- endif %}
        middlewares.insert(0, Box::new(middleware::MailLanguage));
        middlewares.insert(0, Box::new(middleware::Sessions::new(ctx)));
        middlewares.insert(1, Box::new(middleware::Csrf::new(&ctx.config)));
        // Wraps everything that can fail, inside the layers that set headers on every response.
        middlewares.insert_before("secure_headers", Box::new(middleware::ErrorPages));
        // axum clones handlers and their state for every layer around them; this clones them once.
        middlewares.insert(0, Box::new(memory::SharedHandlers));
        middlewares.insert(0, Box::new(JsonErrors));
        // Inside the logger's span.
        middlewares.insert_before("logger", Box::new(AccessLog));
        // Outside the logger.
        middlewares.push(Box::new(middleware::LinkTokens));
        middlewares
    }

    fn routes({% unless openapi == "true" %}_{% endunless %}ctx: &AppContext) -> AppRoutes {
        AppRoutes::empty() // controller routes below
            .add_route(controllers::health::routes())
            .add_route(controllers::auth::routes())
            .add_route(controllers::account::routes())
{%- if openapi == "true" %}
            .add_route(controllers::openapi::routes(ctx))
{%- endif %}
            .add_route(controllers::account_pages::routes())
            .add_route(controllers::page::routes())
            .add_route(controllers::session_pages::routes())
    }

    async fn connect_workers(ctx: &AppContext, queue: &Queue) -> Result<()> {
        let queue = WatchedQueue(queue);
        queue.register(MailerWorker::build(ctx)).await?;
        queue.register(DownloadWorker::build(ctx)).await?;
        Ok(())
    }

    async fn on_shutdown(_ctx: &AppContext) {
        watched::log_running_jobs();
    }

    fn register_tasks(tasks: &mut Tasks) {
        tasks.register(memory::MemoryTask);
{%- if database == "sqlite" %}
        tasks.register(tasks::db_backup::DbBackup);
{%- endif %}
{%- if queue_kind != "" %}
        tasks.register(tasks::jobs_tidy::JobsTidy);
{%- endif %}
{%- if openapi == "true" %}
        tasks.register(tasks::openapi::OpenApi);
{%- endif %}
        tasks.register(tasks::user_clear_tokens::UserClearTokens);
        tasks.register(tasks::user_create::UserCreate);
        tasks.register(tasks::user_delete::UserDelete);
        tasks.register(tasks::user_logout::UserLogout);
        // tasks-inject (do not remove)
    }

    async fn truncate(ctx: &AppContext) -> Result<()> {
        truncate_table(&ctx.db, rate_limits::Entity).await?;
        truncate_table(&ctx.db, users::Entity).await?;
        Ok(())
    }

    async fn seed(ctx: &AppContext, base: &Path) -> Result<()> {
        let users = base.join("users.yaml").display().to_string();
        db::seed::<users::ActiveModel>(&ctx.db, &users).await
    }
}
