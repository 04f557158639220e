use loco_rs::prelude::*;

{% if memory_metrics == "true" or heap_profiling == "true" -%}
#[cfg(not(target_env = "msvc"))]
use super::{actions::full_stats, mebibytes, purge::purge};
{% endif -%}
use super::{Allocator, Process};

/// Prints what the allocator tells of itself, and the memory of the process.
pub struct Memory;

#[async_trait]
impl Task for Memory {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "memory".to_string(),
            detail: "Report the allocator and the memory in use".to_string(),
        }
    }

    async fn run(&self, _ctx: &AppContext, {% if memory_metrics == "true" or heap_profiling == "true" %}vars{% else %}_vars{% endif %}: &task::Vars) -> Result<()> {
        print!("{}", Allocator::read()?);
        println!("{}", Process::read()?);
{%- if memory_metrics == "true" or heap_profiling == "true" %}
        #[cfg(not(target_env = "msvc"))]
        act(vars)?;
{%- endif %}
        Ok(())
    }
}
{%- if memory_metrics == "true" or heap_profiling == "true" %}

/// `purge:true` returns unused memory and says how much, `stats:true` prints all that jemalloc
/// counts: of the task's own process, not of a service that runs beside it.
#[cfg(not(target_env = "msvc"))]
fn act(vars: &task::Vars) -> Result<()> {
    let is_asked = |name: &str| vars.cli.get(name).is_some_and(|value| value == "true");
    if is_asked("purge") {
        let purged = purge()?;
        let returned = purged
            .returned_bytes
            .map_or_else(|| "not known".to_string(), mebibytes);
        println!("{:<12}{returned:>12}", "returned");
    }
    if is_asked("stats") {
        println!("{}", String::from_utf8_lossy(&full_stats(false)?));
    }
    Ok(())
}
{%- endif %}
