//! Avoids copies of the handlers.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use axum::{extract::Request, Router};
use loco_rs::{app::AppContext, controller::middleware::MiddlewareLayer, Result};
use tower::{util::Oneshot, Layer, Service, ServiceExt};

/// The innermost middleware, which saves each request most copies of the configuration.
///
/// axum (0.8) clones a handler, with its state, once for each layer around it, and Loco's state
/// (1.2) contains all of `config/*.yaml`.
pub struct SharedHandlers;

impl MiddlewareLayer for SharedHandlers {
    fn name(&self) -> &'static str {
        "shared_handlers"
    }

    fn config(&self) -> serde_json::Result<serde_json::Value> {
        Ok(serde_json::json!({}))
    }

    fn apply(&self, app: Router<AppContext>) -> Result<Router<AppContext>> {
        Ok(app.layer(Share))
    }
}

#[derive(Debug, Clone, Copy)]
struct Share;

impl<S> Layer<S> for Share {
    type Service = Shared<S>;

    fn layer(&self, inner: S) -> Shared<S> {
        Shared(Arc::new(inner))
    }
}

/// A service that is cloned only to be called.
struct Shared<S>(Arc<S>);

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Service<Request> + Clone> Service<Request> for Shared<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Oneshot<S, Request>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        S::clone(&self.0).oneshot(request)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::{body::Body, extract::State, middleware, routing::get};

    use super::*;

    /// Counts how often it is cloned.
    struct Counted(Arc<AtomicUsize>);

    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.0.fetch_add(1, Ordering::Relaxed);
            Self(Arc::clone(&self.0))
        }
    }

    /// How often the state is cloned for one request through ten layers.
    async fn copies(change: impl Fn(Router<Counted>) -> Router<Counted>) -> usize {
        let copies = Arc::new(AtomicUsize::new(0));
        let handler = |State(_): State<Counted>| async {};
        let mut router = change(Router::new().route("/", get(handler)));
        for _ in 0..10 {
            router = router.layer(middleware::from_fn(
                |request: Request, next: middleware::Next| next.run(request),
            ));
        }
        let router: Router = router.with_state(Counted(Arc::clone(&copies)));
        let before = copies.load(Ordering::Relaxed);
        let request = Request::new(Body::empty());
        let Ok(response) = router.oneshot(request).await;
        assert!(response.status().is_success());
        copies.load(Ordering::Relaxed) - before
    }

    #[tokio::test]
    async fn the_state_is_not_copied_for_each_layer() {
        let without = copies(|router| router).await;
        let with = copies(|router| router.layer(Share)).await;

        assert!(without > 10, "{without}");
        assert!(with < 6, "{with}");
    }
}
