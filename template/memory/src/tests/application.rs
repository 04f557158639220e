//! The application: routes that answer, wait, hold memory and take bodies, and this crate's lines.

use std::{sync::LazyLock, time::Duration};

use axum::Router;
use loco_rs::{
    app::{Hooks, Initializer},
    boot::{create_app, BootResult, ServeParams, StartMode},
    config::Config,
    controller::AppRoutes,
    environment::Environment,
    prelude::*,
    task::Tasks,
    tests_cfg::app::get_app_context,
};
use serde_json::Value;
use tokio::sync::{Barrier, Notify};

use crate::{MemoryInitializer, MemoryTask};

/// How many meet in `/meet`.
pub const MEETING: usize = 40;

pub struct App;

#[async_trait]
impl Hooks for App {
    fn app_name() -> &'static str {
        env!("CARGO_CRATE_NAME")
    }

    #[cfg(not(feature = "with-db"))]
    async fn boot(
        mode: StartMode,
        environment: &Environment,
        config: Config,
    ) -> Result<BootResult> {
        create_app::<Self>(mode, environment, config).await
    }

    #[cfg(feature = "with-db")]
    async fn boot(
        mode: StartMode,
        environment: &Environment,
        config: Config,
    ) -> Result<BootResult> {
        create_app::<Self, loco_rs::tests_cfg::db::Migrator>(mode, environment, config).await
    }

    async fn serve(app: Router, ctx: &AppContext, params: &ServeParams) -> Result<()> {
        crate::serve::<Self>(app, ctx, params).await
    }

    async fn initializers(_ctx: &AppContext) -> Result<Vec<Box<dyn Initializer>>> {
        Ok(vec![Box::new(MemoryInitializer)])
    }

    fn routes(_ctx: &AppContext) -> AppRoutes {
        AppRoutes::with_default_routes()
            .add_route(Routes::new().add("/posts/{id}", get(post_of)))
            .add_route(Routes::new().add("/wait", get(wait)))
            .add_route(Routes::new().add("/meet", get(meet)))
            .add_route(Routes::new().add("/hold", get(hold)))
            .add_route(Routes::new().add("/large", get(large)))
            .add_route(Routes::new().add("/length", post(length)))
    }

    async fn connect_workers(_ctx: &AppContext, _queue: &Queue) -> Result<()> {
        Ok(())
    }

    fn register_tasks(tasks: &mut Tasks) {
        tasks.register(MemoryTask);
    }

    #[cfg(feature = "with-db")]
    async fn truncate(_ctx: &AppContext) -> Result<()> {
        Ok(())
    }

    #[cfg(feature = "with-db")]
    async fn seed(_ctx: &AppContext, _base: &std::path::Path) -> Result<()> {
        Ok(())
    }
}

async fn post_of(Path(id): Path<u64>) -> Result<Response> {
    format::json(id)
}

async fn wait() -> Result<Response> {
    tokio::time::sleep(Duration::from_millis(200)).await;
    format::empty_json()
}

/// Answers once so many are here.
async fn meet() -> Result<Response> {
    static HERE: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(MEETING));
    HERE.wait().await;
    format::empty_json()
}

/// A request for `/hold` has begun.
pub static HOLDING: Notify = Notify::const_new();

async fn hold() -> Result<Response> {
    HOLDING.notify_one();
    std::future::pending().await
}

/// 4 MiB.
async fn large() -> Result<Response> {
    Ok(vec![b'x'; 4 << 20].into_response())
}

async fn length(body: String) -> Result<Response> {
    format::json(body.len())
}

/// The application's context with these `settings`.
pub async fn context(settings: Value) -> AppContext {
    let mut ctx = get_app_context().await;
    ctx.config.settings = Some(settings);
    ctx
}

/// What Loco makes of the application's routes and middlewares.
pub fn router(ctx: &AppContext) -> Router {
    App::routes(ctx)
        .to_router::<App>(ctx.clone(), Router::new())
        .expect("a router")
}
