//! Whatever arrives from the network: a release service in a memory cgroup of 256 MiB lives, answers
//! honest clients meanwhile, and ends when it is asked to. It takes root.
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

    let mut faults = Vec::new();
    for row in Attack::ALL {
        let outcome = attack(&service, row, LIMIT, TIME).expect("an outcome");
        println!("{outcome:?}");
        let is_well = outcome.kills == 0
            && outcome.killed_after_s.is_none()
            && outcome.answered > 0
            && (outcome.refused, outcome.failed, outcome.lost) == (0, 0, 0)
            && outcome.ended_after_s.is_some();
        if !is_well {
            faults.push(outcome);
        }
    }

    assert!(faults.is_empty(), "{faults:#?}");
}
