//! Fast tier: the figures and charts in README.md and BENCHMARKS.md are the measured ones.

use std::fs;

#[cfg(unix)]
use template_tests::siege::{self, Attack, Siege};
use template_tests::{
    benchmark::{plot, Results, HELD},
    profiles, repository,
};

fn readme() -> String {
    document("README.md")
}

/// The page with all tables.
fn benchmarks() -> String {
    document("tests/BENCHMARKS.md")
}

fn document(path: &str) -> String {
    fs::read_to_string(repository().join(path)).expect(path)
}

fn results() -> Results {
    let json = fs::read_to_string(repository().join("tests/membench.json")).expect("the results");
    serde_json::from_str(&json).expect("the benchmark's JSON")
}

#[test]
fn the_tables_are_the_measured_ones() {
    let results = results();
    let benchmarks = benchmarks();
    for text in results.tables().into_iter().chain([results.origin()]) {
        assert!(benchmarks.contains(&text), "there is no\n{text}");
    }
    let summary = results.summary();
    assert!(readme().contains(&summary), "there is no\n{summary}");
}

#[test]
fn the_charts_in_the_readme_are_the_measured_ones() {
    for (theme, file) in plot::FILES {
        assert!(readme().contains(file), "README.md does not show {file}");
        let committed = fs::read_to_string(repository().join(file)).expect("a chart");
        let drawn = plot::draw(&results(), theme).expect("a chart");
        assert!(committed == drawn, "{file}: run membench with --draw");
    }
}

#[test]
fn every_profile_was_measured_and_no_request_failed() {
    let results = results();
    for profile in profiles::all() {
        if profile.name == "custom" {
            continue;
        }
        for rows in [&results.memory, &results.large] {
            let row = rows
                .iter()
                .find(|row| row.name == profile.name)
                .unwrap_or_else(|| panic!("{} was not measured", profile.name));
            assert_eq!(row.failed, 0, "{}", profile.name);
        }
        assert!(
            results
                .cpu
                .iter()
                .any(|cpu| cpu.name == profile.name && cpu.route == HELD && cpu.failed == 0),
            "{}",
            profile.name
        );
    }
}

#[cfg(unix)]
fn siege() -> Siege {
    let json = fs::read_to_string(repository().join("tests/siege.json")).expect("the siege");
    serde_json::from_str(&json).expect("the siege's JSON")
}

#[cfg(unix)]
#[test]
fn the_siege_is_the_measured_one() {
    let (readme, benchmarks, siege) = (readme(), benchmarks(), siege());
    let collectors = siege.collectors.as_ref().expect("measured collectors");
    for text in [
        siege.origin(),
        siege.table(),
        collectors.origin(),
        collectors.table(),
    ] {
        assert!(benchmarks.contains(&text), "there is no\n{text}");
    }
    let attacks = || {
        let all = Attack::ALL.into_iter();
        all.filter(|attack| !matches!(attack, Attack::None))
    };
    let killed = |attack: &Attack| siege.row("loco new", *attack).killed() > 0;
    let claim = format!(
        "`loco new` is killed by {} of {} attacks",
        attacks().filter(killed).count(),
        attacks().count()
    );
    assert!(readme.contains(&claim), "there is no\n{claim}");
    for (theme, file) in siege::plot::FILES {
        assert!(readme.contains(file), "README.md does not show {file}");
        let committed = fs::read_to_string(repository().join(file)).expect("a chart");
        let drawn = siege::plot::draw(&siege, theme).expect("a chart");
        assert!(committed == drawn, "{file}: run siege with --draw");
    }
}

/// What README.md claims about the siege.
#[cfg(unix)]
#[test]
fn no_attack_has_killed_the_service_or_kept_it_from_answering() {
    let siege = siege();
    for attack in Attack::ALL {
        for service in ["loco new", siege::OURS] {
            assert!(
                siege.row(service, attack).rounds() > 0,
                "{service}: {}",
                attack.name()
            );
        }
        let row = siege.row(siege::OURS, attack);
        assert_eq!(
            (row.killed(), row.unanswered()),
            (0, 0),
            "{}",
            attack.name()
        );
    }
}

/// What BENCHMARKS.md says about services whose collector fails.
#[cfg(unix)]
#[test]
fn no_collector_has_killed_a_service_or_kept_it_from_answering() {
    let collectors = siege().collectors.expect("measured collectors");
    assert!(collectors.rounds.len() >= 5);
    for outcome in collectors.rounds.iter().flatten() {
        let is_well = outcome.kills == 0
            && outcome.killed_after_s.is_none()
            && outcome.answered > 0
            && outcome.load_per_second > 0.0
            && (outcome.refused, outcome.failed, outcome.lost) == (0, 0, 0);
        assert!(is_well, "{outcome:?}");
    }
}
