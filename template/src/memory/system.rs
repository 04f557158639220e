use std::fmt;

use loco_rs::prelude::*;

/// The platform's own allocator. It tells nothing of itself.
#[derive(Debug)]
pub struct Allocator;

impl Allocator {
    /// # Errors
    ///
    /// None: there is nothing to read.
    pub const fn read() -> Result<Self> {
        Ok(Self)
    }
}

impl fmt::Display for Allocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "allocator   system: the platform's malloc")
    }
}

/// Logs at start which allocator runs.
pub struct MemoryInitializer;

#[async_trait]
impl Initializer for MemoryInitializer {
    fn name(&self) -> String {
        "memory".to_string()
    }

    async fn before_run(&self, _ctx: &AppContext) -> Result<()> {
        tracing::info!(allocator = "system", "memory");
        Ok(())
    }
}
