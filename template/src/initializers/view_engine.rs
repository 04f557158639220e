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
    // The texts of the pages in each language, embedded in the binary.
    pub static TEXTS = {
        locales: "./assets/i18n",
        fallback_language: "en-US",
        core_locales: "./assets/shared.ftl",
        // No directional isolation marks around placeholders: they would end up in the HTML.
        customise: |bundle| bundle.set_use_isolating(false),
    };
}

/// Renders `assets/views`, in which `t(key=…, lang=…)` inserts a text from `assets/i18n`.
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
                "no assets are built in: Loco looks for assets/ next to the `target` directory, so \
                 build in the service's own directory and without CARGO_TARGET_DIR",
            ));
        }
{%- endif %}
        Ok(router.layer(Extension(ViewEngine::from(engine))))
    }
}
