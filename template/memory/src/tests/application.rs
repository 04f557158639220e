//! The application under test, with routes that respond, wait, hold memory and take bodies.

use std::{convert::Infallible, sync::LazyLock, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request},
    http::{
        header::{CONNECTION, UPGRADE},
        StatusCode,
    },
    response::sse::{Event, Sse},
    Router,
};
use futures_util::{stream, StreamExt};
use hyper_util::rt::TokioIo;
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
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Barrier, Notify},
    time::sleep,
};

use crate::{MemoryInitializer, MemoryTask};

/// How many requests meet in `/meet`.
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
            .add_route(Routes::new().add("/allocate/{bytes}", get(allocate)))
            .add_route(Routes::new().add("/length", post(length)))
            .add_route(Routes::new().add("/events", get(events)))
            .add_route(Routes::new().add("/poll", get(poll)))
            .add_route(Routes::new().add("/panics", get(panics)))
            .add_route(Routes::new().add("/echo", get(echo)))
            .add_route(uploads())
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
    sleep(Duration::from_millis(200)).await;
    format::empty_json()
}

async fn panics() -> Response {
    let body = stream::once(async { panic!("on purpose") });
    Body::from_stream(body.map(Ok::<&[u8], Infallible>)).into_response()
}

/// Responds once `MEETING` requests have arrived.
async fn meet() -> Result<Response> {
    static HERE: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(MEETING));
    HERE.wait().await;
    format::empty_json()
}

/// Notified when a request for `/hold` has begun.
pub static HOLDING: Notify = Notify::const_new();

async fn hold() -> Result<Response> {
    HOLDING.notify_one();
    std::future::pending().await
}

/// Allocates this many bytes twice, one after the other.
async fn allocate(Path(bytes): Path<usize>) {
    for _ in 0..2 {
        drop(std::hint::black_box(vec![1_u8; bytes]));
    }
}

/// Responds with 4 MiB.
async fn large() -> Result<Response> {
    Ok(vec![b'x'; 4 << 20].into_response())
}

async fn length(body: String) -> Result<Response> {
    format::json(body.len())
}

/// How long the streams pause.
pub const SILENCE: Duration = Duration::from_millis(1500);

async fn events() -> Response {
    let events = stream::iter(0..3).then(|number| async move {
        if number > 0 {
            sleep(SILENCE).await;
        }
        Ok::<_, Infallible>(Event::default().data(number.to_string()))
    });
    Sse::new(events).into_response()
}

async fn poll() -> Result<Response> {
    sleep(SILENCE).await;
    format::json("news")
}

/// Takes over the connection, and echoes what arrives.
async fn echo(request: Request) -> Response {
    tokio::spawn(async move {
        let connection = hyper::upgrade::on(request).await.expect("an upgrade");
        let mut connection = TokioIo::new(connection);
        let mut buffer = [0; 4];
        while connection.read_exact(&mut buffer).await.is_ok() {
            connection.write_all(&buffer).await.expect("it is open");
        }
    });
    let handed_over = [(CONNECTION, "upgrade"), (UPGRADE, "echo")];
    (StatusCode::SWITCHING_PROTOCOLS, handed_over).into_response()
}

/// Routes that take a body of any length: as it arrives, as a whole, or after a pause longer than a
/// slow client is allowed.
fn uploads() -> Routes {
    async fn count(body: Body) -> Result<Response> {
        let mut body = body.into_data_stream();
        let mut length = 0;
        while let Some(part) = body.next().await {
            length += part.map_err(Error::wrap)?.len();
        }
        format::json(length)
    }
    async fn whole(body: Bytes) -> Result<Response> {
        format::json(body.len())
    }
    async fn late(body: Body) -> Result<Response> {
        sleep(Duration::from_secs(6)).await;
        count(body).await
    }
    Routes::new()
        .prefix("/upload")
        .add("/", post(count))
        .add("/whole", post(whole).layer(DefaultBodyLimit::disable()))
        .add("/late", post(late))
}

/// The application's context with these `settings`.
pub async fn context(settings: Value) -> AppContext {
    let mut ctx = get_app_context().await;
    ctx.config.settings = Some(settings);
    ctx
}

/// The application's routes and middlewares, as Loco assembles them.
pub fn router(ctx: &AppContext) -> Router {
    App::routes(ctx)
        .to_router::<App>(ctx.clone(), Router::new())
        .expect("a router")
}
