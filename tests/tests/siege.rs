//! Whatever arrives from the network: a release build in a memory cgroup of 256 MiB survives,
//! responds to honest clients meanwhile, and exits on SIGTERM. Requires root.
#![cfg(target_os = "linux")]

use std::time::Duration;

use template_tests::{
    needs, repository,
    siege::{attack, Attack, Service},
};

const LIMIT: u64 = 256 << 20;
const TIME: Duration = Duration::from_secs(12);

#[test]
#[ignore = "long: a release build, and up to a minute for each attack"]
fn no_attack_kills_it_or_keeps_it_from_answering() {
    if !needs::root() {
        return;
    }
    let work = repository().join("tests/target/siege");
    std::fs::create_dir_all(&work).expect("a directory");
    let service = Service::generated(&work, false).expect("a service");

    let mut failures = Vec::new();
    for row in Attack::ALL {
        let outcome = attack(&service, row, LIMIT, TIME).expect("an outcome");
        println!("{outcome:?}");
        let is_well = outcome.kills == 0
            && outcome.killed_after_s.is_none()
            && outcome.answered > 0
            && (outcome.refused, outcome.failed, outcome.lost) == (0, 0, 0)
            && outcome.ended_after_s.is_some();
        if !is_well {
            failures.push(outcome);
        }
    }

    assert!(failures.is_empty(), "{failures:#?}");
}
