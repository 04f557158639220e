//! The memory limit that the process shares with others in its cgroup, as in a container.

use loco_rs::prelude::*;
use metrics::{describe_gauge, gauge};

use super::set;
use crate::cgroup::Cgroup;

pub fn describe() {
    for (name, help) in [
        (
            "cgroup_memory_current_bytes",
            "Memory of the cgroup, including the page cache.",
        ),
        (
            "cgroup_memory_working_set_bytes",
            "Memory of the cgroup without the file pages that were not used lately.",
        ),
        (
            "cgroup_memory_unreclaimable_bytes",
            "Memory of the cgroup that the kernel cannot drop, which the guard watches.",
        ),
        (
            "cgroup_memory_limit_bytes",
            "The cgroup's limit; absent if there is none.",
        ),
        (
            "cgroup_memory_pressure_some_ratio",
            "Share of the last 10 s in which some task waited for memory.",
        ),
        (
            "cgroup_memory_pressure_full_ratio",
            "Share of the last 10 s in which all tasks waited for memory.",
        ),
    ] {
        describe_gauge!(name, help);
    }
}

pub fn read(cgroup: &Cgroup) -> Result<()> {
    let usage = cgroup.usage()?;
    set("cgroup_memory_current_bytes", usage.current);
    set("cgroup_memory_working_set_bytes", usage.working_set);
    set("cgroup_memory_unreclaimable_bytes", usage.unreclaimable);
    if let Some(limit) = usage.limit {
        set("cgroup_memory_limit_bytes", limit);
    }
    if let Some(pressure) = cgroup.pressure() {
        gauge!("cgroup_memory_pressure_some_ratio").set(pressure.some);
        gauge!("cgroup_memory_pressure_full_ratio").set(pressure.full);
    }
    Ok(())
}
