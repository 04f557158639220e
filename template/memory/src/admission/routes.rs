//! The routes of the application, with what a request of each is expected to hold.

use std::{
    collections::HashMap,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
};

use axum::http::Method;
use loco_rs::{controller::AppRoutes, Error, Result};

/// Loco's own routes that must answer under any load.
const HEALTH: [&str; 3] = ["/_ping", "/_health", "/_readiness"];
/// Bytes that a request of a route is expected to hold before the first has told.
const UNKNOWN: u64 = 256 << 10;

/// A route's template and method, such as `GET /posts/{id}`.
#[derive(Debug)]
pub struct Route {
    /// `none` for what matches no route: clients can invent any number of paths.
    pub template: Arc<str>,
    /// It is neither counted nor made to wait.
    pub exempt: bool,
    expected: AtomicU64,
}

impl Route {
    pub fn new(template: &str, exempt: bool) -> Self {
        Self {
            template: template.into(),
            exempt,
            expected: AtomicU64::new(UNKNOWN),
        }
    }

    /// Bytes that its next request is expected to hold at its most.
    pub fn expected(&self) -> u64 {
        self.expected.load(Ordering::Relaxed)
    }

    /// A request holds so many bytes: from now on the next is expected to.
    pub fn raise(&self, bytes: u64) {
        self.expected.fetch_max(bytes, Ordering::Relaxed);
    }

    /// A request has ended that held so many bytes at its most. What one large request has raised
    /// is forgotten after some twenty small ones.
    pub fn learn(&self, bytes: u64) {
        let expected = self.expected();
        let next = if bytes >= expected {
            bytes
        } else {
            expected - (expected - bytes).div_ceil(8)
        };
        // Another request's figure may be lost: the next one tells.
        self.expected.store(next, Ordering::Relaxed);
    }
}

/// Finds the route of a request.
#[derive(Debug)]
pub struct Routes {
    templates: matchit::Router<HashMap<Method, Arc<Route>>>,
    none: Arc<Route>,
}

impl Routes {
    /// # Errors
    ///
    /// When two of the routes cannot be told apart, or one of `exempt` is no route.
    pub fn new(routes: &AppRoutes, exempt: &[String]) -> Result<Self> {
        let mut methods: HashMap<String, HashMap<Method, Arc<Route>>> = HashMap::new();
        for route in routes.collect() {
            let is_exempt = HEALTH.contains(&route.uri.as_str()) || exempt.contains(&route.uri);
            let of_template = methods.entry(route.uri.clone()).or_default();
            for method in route.actions {
                of_template.insert(method, Arc::new(Route::new(&route.uri, is_exempt)));
            }
        }
        if let Some(unknown) = exempt.iter().find(|route| !methods.contains_key(*route)) {
            return Err(Error::Message(format!(
                "settings.requests.exempt has \"{unknown}\", which is no route: `cargo loco \
                 routes` prints them"
            )));
        }
        let mut templates = matchit::Router::new();
        for (template, methods) in methods {
            templates.insert(template, methods).map_err(Error::wrap)?;
        }
        Ok(Self {
            templates,
            none: Arc::new(Route::new("none", false)),
        })
    }

    pub fn of(&self, method: &Method, path: &str) -> &Arc<Route> {
        self.templates
            .at(path)
            .ok()
            .and_then(|methods| {
                // HEAD is answered by what answers GET.
                let method = if method == Method::HEAD {
                    &Method::GET
                } else {
                    method
                };
                methods.value.get(method)
            })
            .unwrap_or(&self.none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_request_counts_at_once_and_is_forgotten_after_some_small_ones() {
        let route = Route::new("/", false);

        route.raise(1 << 20);
        assert_eq!(route.expected(), 1 << 20);
        for _ in 0..40 {
            route.learn(1000);
        }
        assert!(route.expected() < 10_000, "{}", route.expected());
        route.learn(1 << 20);
        assert_eq!(route.expected(), 1 << 20);
    }
}
