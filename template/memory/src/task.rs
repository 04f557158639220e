use loco_rs::prelude::*;

use crate::{
    allocator::full_stats, black_box::BlackBox, explain::explain, mebibytes, purge::purge, wiring,
    Process, Report, Settings,
};

/// Prints the allocator's report, the memory of the process, and the records in the black box.
///
/// `purge:true` returns unused memory and prints how much, `stats:true` prints all of jemalloc's
/// statistics: those of the task's process, not of a service that runs beside it. `explain:NAME`
/// instead tells what a figure, an option, a profile or a setting means.
pub struct MemoryTask;

#[async_trait]
impl Task for MemoryTask {
    fn task(&self) -> TaskInfo {
        TaskInfo {
            name: "memory".to_string(),
            detail:
                "Report on the memory in use, or explain:NAME a figure, option, profile or setting"
                    .to_string(),
        }
    }

    async fn run(&self, ctx: &AppContext, vars: &task::Vars) -> Result<()> {
        if let Ok(name) = vars.cli_arg("explain") {
            println!("{}", explain(name).map_err(Error::Message)?);
            return Ok(());
        }
        print!("{}", report()?);
        let is_set = |name: &str| vars.cli.get(name).is_some_and(|value| value == "true");
        if is_set("purge") {
            let returned = purge()?
                .returned_bytes
                .map_or_else(|| "unknown".to_string(), mebibytes);
            println!("{:<12}{returned:>12}", "returned");
        }
        if is_set("stats") {
            println!("{}", String::from_utf8_lossy(&full_stats(false)?));
        }
        if let Some(black_box) = BlackBox::new(&Settings::read(&ctx.config)?.memory) {
            print!("{}", black_box.list()?);
        }
        Ok(())
    }
}

/// Reports on the allocator and the process, with any problems. May block.
///
/// # Errors
///
/// If the allocator or the operating system does not report its figures.
pub fn report() -> Result<String> {
    let allocator = Report::read()?;
    let mut report = vec![format!("{allocator}{}", Process::read()?)];
    let problems = problems(&allocator).into_iter();
    report.extend(problems.map(|problem| format!("NOT IN EFFECT: {problem}")));
    Ok(report.join("\n") + "\n")
}

/// The report, and the routes and workers that have held the most. May block.
///
/// # Errors
///
/// If the allocator or the operating system does not report its figures.
pub fn service_report() -> Result<String> {
    let report = report()?;
    #[cfg(feature = "metrics")]
    let report =
        report + &crate::metrics::admission::top_routes() + &crate::metrics::workers::report();
    Ok(report)
}

/// The parts of the profile that are not in effect, and those of this crate that are not in use:
/// one sentence each.
pub fn problems(allocator: &Report) -> Vec<String> {
    let mut problems = allocator.problems();
    problems.extend(wiring::problems());
    #[cfg(feature = "traces")]
    problems.extend(crate::traces::problem());
    problems
}
