use loco_rs::{
    doctor::{Check, CheckStatus},
    prelude::*,
};

use crate::{guard, listener, task, Report, Settings};

/// Logs at start which allocator runs and with which options, opens the memory listener, and
/// watches the process as the settings ask for it. Its check is part of `cargo loco doctor`.
pub struct MemoryInitializer;

#[async_trait]
impl Initializer for MemoryInitializer {
    fn name(&self) -> String {
        "memory".to_string()
    }

    async fn before_run(&self, ctx: &AppContext) -> Result<()> {
        let settings = Settings::read(&ctx.config)?;
        // The service works without this knowledge: say what is wrong and go on.
        match Report::read() {
            Ok(report) => {
                report.log();
                for problem in task::problems(&report) {
                    tracing::warn!("memory profile not in effect: {problem}");
                }
            }
            Err(err) => tracing::warn!(%err, "cannot read the allocator's state"),
        }
        #[cfg(all(feature = "idle", unix))]
        if settings.idle.purge {
            crate::idle::watch();
        }
        // The guard counts its purges where the listener collects metrics.
        listener::start(&settings.memory, ctx).await?;
        guard::start(&settings.memory);
        Ok(())
    }

    async fn check(&self, _ctx: &AppContext) -> Result<Option<Check>> {
        // Loco leaves out a check that fails.
        let problems = match Report::read() {
            Ok(report) => task::problems(&report),
            Err(err) => vec![format!("cannot read the allocator's state: {err}")],
        };
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
