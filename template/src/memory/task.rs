use loco_rs::prelude::*;

use super::{Allocator, Process};

/// Prints the allocator's options and statistics, and the memory of the process.
pub struct Memory;

#[async_trait]
impl Task for Memory {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "memory".to_string(),
            detail: "Report the allocator, its options in effect and the memory in use".to_string(),
        }
    }

    async fn run(&self, _ctx: &AppContext, _vars: &task::Vars) -> Result<()> {
        print!("{}", Allocator::read()?);
        println!("{}", Process::read()?);
        Ok(())
    }
}
