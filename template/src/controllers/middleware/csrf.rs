use axum::Router;
use loco_rs::{app::AppContext, config::Config, controller::middleware::MiddlewareLayer, Result};
use serde::Serialize;
use tower_http::csrf::CsrfLayer;

/// Rejects requests that a browser sends from another site's page with the user's cookie.
///
/// Origins that CORS allows are trusted.
#[derive(Serialize)]
pub struct Csrf {
    trusted_origins: Vec<String>,
}

impl Csrf {
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let cors = config.server.middlewares.cors.as_ref();
        Self {
            trusted_origins: cors
                .filter(|cors| cors.enable)
                .map(|cors| cors.allow_origins.clone())
                .unwrap_or_default(),
        }
    }

    fn layer(&self) -> CsrfLayer {
        let origins = self.trusted_origins.iter();
        origins.fold(CsrfLayer::new(), |layer, origin| {
            // Anything that is not an origin, such as `*`, is not trusted.
            layer.clone().add_trusted_origin(origin).unwrap_or(layer)
        })
    }
}

impl MiddlewareLayer for Csrf {
    fn name(&self) -> &'static str {
        "csrf"
    }

    fn config(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self)
    }

    fn apply(&self, app: Router<AppContext>) -> Result<Router<AppContext>> {
        Ok(app.layer(self.layer()))
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        http::{Request, StatusCode},
        routing::post,
    };
    use tower::ServiceExt;

    use super::*;

    /// The status of a request from a page of `origin` when CORS allows `trusted`.
    async fn status(trusted: &str, origin: &str) -> StatusCode {
        let csrf = Csrf {
            trusted_origins: vec![trusted.to_string()],
        };
        let app = Router::new()
            .route("/", post(|| async {}))
            .layer(csrf.layer());
        let request = Request::post("/")
            .header("host", "service.example")
            .header("origin", origin)
            .header("sec-fetch-site", "cross-site")
            .body(Body::empty())
            .expect("a request");
        app.oneshot(request).await.expect("a response").status()
    }

    #[tokio::test]
    async fn only_origins_that_cors_allows_may_send_forms() {
        let page = "https://app.example";

        assert_eq!(status(page, page).await, StatusCode::OK);
        for trusted in ["https://other.example", "*", "https://app.example/path"] {
            assert_eq!(status(trusted, page).await, StatusCode::FORBIDDEN);
        }
    }
}
