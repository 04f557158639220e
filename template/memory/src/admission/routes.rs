//! The routes of the application, with the memory that a request to each is expected to hold.

use std::{
    array,
    collections::HashMap,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
};

use axum::http::Method;
use loco_rs::{controller::AppRoutes, Error, Result};

#[cfg(feature = "metrics")]
use crate::metrics::routes::RouteMetrics;

/// Loco's own routes, which must answer under any load.
const HEALTH_ROUTES: [&str; 3] = ["/_ping", "/_health", "/_readiness"];
/// Bytes that a request is expected to hold before its route has seen any.
const INITIAL_EXPECTED: u64 = 256 << 10;
/// Upper bounds, in bytes and ascending, of the body-size classes.
const BODY_SIZES: [u64; 4] = [16 << 10, 128 << 10, 512 << 10, 2 << 20];

/// The requests to a route such as `POST /posts/{id}` whose bodies are of similar size, since that
/// determines most of what a request holds.
#[derive(Debug)]
pub struct Route {
    /// Such as `/posts/{id}`, or none for requests that match no route.
    #[cfg(feature = "traces")]
    pub template: Option<Arc<str>>,
    #[cfg(feature = "metrics")]
    pub metrics: Arc<RouteMetrics>,
    /// Its requests are neither counted nor made to wait.
    pub exempt: bool,
    expected: AtomicU64,
}

impl Route {
    #[cfg(test)]
    pub fn new(template: &str, exempt: bool) -> Self {
        let [route, ..] = BySize::new(None, template, exempt).0;
        Arc::into_inner(route).expect("the only reference")
    }

    /// Unique among the routes that exist.
    pub fn id(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self) as usize
    }

    /// Whether orchestrators and load balancers request it all the time.
    #[cfg(feature = "traces")]
    pub fn is_probe(&self) -> bool {
        let mut probes = HEALTH_ROUTES.iter();
        probes.any(|probe| self.template.as_deref() == Some(probe))
    }

    /// The most bytes that the next request is expected to hold.
    pub fn expected(&self) -> u64 {
        self.expected.load(Ordering::Relaxed)
    }

    /// A request holds `bytes`, so the next one is expected to as well.
    pub fn raise(&self, bytes: u64) {
        // Most requests hold less, and need not contend for it.
        if bytes > self.expected() {
            self.expected.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    /// A request has ended that held `bytes` at its peak. The influence of one large request fades
    /// after about twenty small ones.
    pub fn learn(&self, bytes: u64) {
        let expected = self.expected();
        let next = if bytes >= expected {
            bytes
        } else {
            expected - (expected - bytes).div_ceil(8)
        };
        // Requests that hold almost as much as the last ones need not contend for it.
        if next > expected || next < expected / 64 * 63 {
            // A concurrent update may get lost: later requests make up for it.
            self.expected.store(next, Ordering::Relaxed);
        }
    }
}

/// One [`Route`] per size of body, the last for bodies of unknown length.
#[derive(Debug)]
struct BySize([Arc<Route>; BODY_SIZES.len() + 2]);

impl BySize {
    #[cfg_attr(
        not(any(feature = "metrics", feature = "traces")),
        expect(unused_variables)
    )]
    fn new(method: Option<&Method>, template: &str, exempt: bool) -> Self {
        #[cfg(feature = "traces")]
        let matched = method.map(|_| Arc::from(template));
        #[cfg(feature = "metrics")]
        let metrics = Arc::new(RouteMetrics::new(method, template));
        Self(array::from_fn(|_| {
            Arc::new(Route {
                #[cfg(feature = "traces")]
                template: matched.clone(),
                #[cfg(feature = "metrics")]
                metrics: Arc::clone(&metrics),
                exempt,
                expected: AtomicU64::new(INITIAL_EXPECTED),
            })
        }))
    }

    fn get(&self, body: Option<u64>) -> &Arc<Route> {
        let size = body.map_or(BODY_SIZES.len() + 1, |body| {
            BODY_SIZES.partition_point(|max| *max < body)
        });
        &self.0[size]
    }
}

/// Looks up the route of a request.
#[derive(Debug)]
pub struct Routes {
    templates: matchit::Router<HashMap<Method, BySize>>,
    unmatched: BySize,
    #[cfg(feature = "metrics")]
    metrics: Vec<Arc<RouteMetrics>>,
}

impl Routes {
    /// # Errors
    ///
    /// If two routes conflict, or if one of `exempt` does not exist.
    pub fn new(routes: &AppRoutes, exempt: &[String]) -> Result<Self> {
        let mut methods: HashMap<String, HashMap<Method, BySize>> = HashMap::new();
        for route in routes.collect() {
            let is_exempt =
                HEALTH_ROUTES.contains(&route.uri.as_str()) || exempt.contains(&route.uri);
            let by_method = methods.entry(route.uri.clone()).or_default();
            for method in route.actions {
                let by_size = BySize::new(Some(&method), &route.uri, is_exempt);
                by_method.insert(method, by_size);
            }
        }
        if let Some(unknown) = exempt.iter().find(|route| !methods.contains_key(*route)) {
            return Err(Error::Message(format!(
                "settings.requests.exempt has \"{unknown}\", which is not a route: `cargo loco \
                 routes` lists them"
            )));
        }
        let unmatched = BySize::new(None, "none", false);
        #[cfg(feature = "metrics")]
        let metrics = methods
            .values()
            .flat_map(HashMap::values)
            .chain([&unmatched])
            .map(|BySize(routes)| Arc::clone(&routes[0].metrics))
            .collect();
        let mut templates = matchit::Router::new();
        for (template, methods) in methods {
            templates.insert(template, methods).map_err(Error::wrap)?;
        }
        Ok(Self {
            templates,
            unmatched,
            #[cfg(feature = "metrics")]
            metrics,
        })
    }

    /// The metrics of each route's requests.
    #[cfg(feature = "metrics")]
    pub fn metrics(&self) -> impl Iterator<Item = &RouteMetrics> {
        self.metrics.iter().map(AsRef::as_ref)
    }

    /// The route of a request whose body has this many bytes, or an unknown number.
    pub fn find(&self, method: &Method, path: &str, body: Option<u64>) -> &Arc<Route> {
        let by_size = self
            .templates
            .at(path)
            .ok()
            .and_then(|methods| {
                // HEAD is served by the handler of GET.
                let method = if method == Method::HEAD {
                    &Method::GET
                } else {
                    method
                };
                methods.value.get(method)
            })
            .unwrap_or(&self.unmatched);
        by_size.get(body)
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

    #[test]
    fn requests_with_bodies_of_another_size_are_expected_to_hold_what_they_did() {
        let sizes = BySize::new(None, "/", false);

        sizes.get(Some(2 << 20)).raise(4 << 20);
        sizes.get(None).raise(8 << 20);
        assert_eq!(sizes.get(Some(300_000)).expected(), INITIAL_EXPECTED);
        assert_eq!(sizes.get(Some(0)).expected(), INITIAL_EXPECTED);
        assert_eq!(sizes.get(Some(1_900_000)).expected(), 4 << 20);
        assert_eq!(sizes.get(Some(3 << 20)).expected(), INITIAL_EXPECTED);
    }
}
