use loco_rs::cli;
use migration::Migrator;

use {{crate_name}}::app::App;

// The allocator and its profile: README.md, "Memory".
#[global_allocator]
static ALLOCATOR: memory::Allocator = memory::Allocator;

fn main() -> loco_rs::Result<()> {
    memory::block_on(cli::main::<App, Migrator>())
}
