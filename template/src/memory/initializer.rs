use loco_rs::{
    doctor::{Check, CheckStatus},
    prelude::*,
};

{% if memory_profile == "lean" -%}
use super::{idle, Allocator};
use crate::common::settings::Settings;
{%- else -%}
use super::Allocator;
{%- endif %}

/// Logs at start which allocator runs and with which options
{%- if memory_profile == "lean" %}, and watches for the moment in
/// which the service falls idle.
{%- else %}.
{%- endif %}
pub struct MemoryInitializer;

#[async_trait]
impl Initializer for MemoryInitializer {
    fn name(&self) -> String {
        "memory".to_string()
    }

    async fn before_run(&self, {% if memory_profile == "lean" %}ctx{% else %}_ctx{% endif %}: &AppContext) -> Result<()> {
        // The service works without this knowledge: say what is wrong and go on.
        match Allocator::read() {
            Ok(allocator) => allocator.log(),
            Err(err) => tracing::warn!(%err, "cannot read the allocator's state"),
        }
{%- if memory_profile == "lean" %}
        if Settings::read(&ctx.config)?.idle.purge {
            idle::start();
        }
{%- endif %}
        Ok(())
    }

    async fn check(&self, _ctx: &AppContext) -> Result<Option<Check>> {
        let problems = Allocator::read()?.problems();
        Ok(Some(if problems.is_empty() {
            Check {
                status: CheckStatus::Ok,
                message: "memory profile: in effect".to_string(),
                description: None,
            }
        } else {
            Check {
                status: CheckStatus::NotOk,
                message: "memory profile: not in effect".to_string(),
                description: Some(problems.join("\n")),
            }
        }))
    }
}
