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

    /// What is not as it should be: nothing, since nothing is set.
    #[must_use]
    pub const fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    /// Logs which allocator is in use.
    pub fn log(&self) {
        tracing::info!(allocator = "system", "memory");
    }
}

impl fmt::Display for Allocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "allocator   system: the platform's malloc")
    }
}
