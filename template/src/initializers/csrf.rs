use async_trait::async_trait;
use axum::Router;
use loco_rs::{
    app::{AppContext, Initializer},
    Result,
};
use tower_http::csrf::CsrfLayer;

/// Refuses what a browser sends from another site's page: it would act with the person's cookie.
///
/// A page elsewhere that may use this service, as far as CORS lets it, is added with
/// [`CsrfLayer::add_trusted_origin`].
pub struct Csrf;

#[async_trait]
impl Initializer for Csrf {
    fn name(&self) -> String {
        "csrf".to_string()
    }

    async fn after_routes(&self, router: Router, _ctx: &AppContext) -> Result<Router> {
        Ok(router.layer(CsrfLayer::new()))
    }
}
