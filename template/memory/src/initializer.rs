use loco_rs::{
    doctor::{Check, CheckStatus},
    prelude::*,
};

use crate::{guard, listener, task, Report, Settings};

/// Logs the allocator and its options at start, opens the memory listener, and starts to watch
/// memory as the settings say. Also adds a check to `cargo loco doctor`.
pub struct MemoryInitializer;

#[async_trait]
impl Initializer for MemoryInitializer {
    fn name(&self) -> String {
        "memory".to_string()
    }

    async fn before_run(&self, ctx: &AppContext) -> Result<()> {
        let settings = Settings::read(&ctx.config)?;
        // The service works without the profile: report what is wrong and go on.
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
        // The listener comes first, since it installs the recorder for the guard's metrics.
        listener::start(&settings.memory, ctx)?;
        guard::start(&settings.memory);
        Ok(())
    }

    async fn check(&self, _ctx: &AppContext) -> Result<Option<Check>> {
        // Loco omits a check that returns an error.
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
