use async_trait::async_trait;
use axum::{Extension, Router};
use fluent_templates::{static_loader, FluentLoader};
use loco_rs::{
    app::{AppContext, Initializer},
    controller::views::{engines::TeraView, ViewEngine},
{%- if embedded_assets == "true" %}
    Error, Result,
{%- else %}
    Result,
{%- endif %}
};

static_loader! {
    // What the pages say, in each language; built into the service.
    pub static TEXTS = {
        locales: "./assets/i18n",
        fallback_language: "en-US",
        core_locales: "./assets/shared.ftl",
        // Without marks of direction around what is inserted: they would stand in the HTML.
        customise: |bundle| bundle.set_use_isolating(false),
    };
}

/// Renders `assets/views`, where `t(key=…, lang=…)` is a text of `assets/i18n`.
pub struct ViewEngineInitializer;

#[async_trait]
impl Initializer for ViewEngineInitializer {
    fn name(&self) -> String {
        "view-engine".to_string()
    }

    async fn after_routes(&self, router: Router, _ctx: &AppContext) -> Result<Router> {
        let engine = TeraView::build_with_post_process(|tera| {
            tera.register_function("t", FluentLoader::new(&*TEXTS));
            Ok(())
        })?;
{%- if embedded_assets == "true" %}
        if engine.tera.get_template_names().next().is_none() {
            return Err(Error::string(
                "no assets are built in: Loco looks for assets/ beside the folder `target`, so \
                 build in the service's own directory and without CARGO_TARGET_DIR",
            ));
        }
{%- endif %}
        Ok(router.layer(Extension(ViewEngine::from(engine))))
    }
}
