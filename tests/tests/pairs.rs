//! The longest tests: every pair of answers occurs in one of the services that are built here.

use std::collections::BTreeSet;

use template_tests::{all_combinations, needs, Answers, CLIPPY};

type Pair<'a> = [(&'a str, &'a str); 2];

/// Every pair of answers to different questions.
fn pairs(answers: &Answers) -> BTreeSet<Pair<'_>> {
    let all: Vec<(&str, &str)> = answers.all().collect();
    all.iter()
        .enumerate()
        .flat_map(|(index, one)| all[index + 1..].iter().map(move |other| [*one, *other]))
        .collect()
}

/// A few services that cover every pair of answers. Of the profiles only `lean`, `jemalloc` and
/// `system`: the others differ from `jemalloc` in a line of options, and `profiles` builds and
/// starts them all.
fn covering(services: &[Answers]) -> Vec<&Answers> {
    let mut missing: BTreeSet<Pair<'_>> = services.iter().flat_map(pairs).collect();
    let mut chosen = Vec::new();
    while !missing.is_empty() {
        let next = services
            .iter()
            .max_by_key(|service| pairs(service).intersection(&missing).count())
            .expect("there are services");
        let found = pairs(next);
        missing.retain(|pair| !found.contains(pair));
        chosen.push(next);
    }
    chosen
}

fn services() -> Vec<Answers> {
    all_combinations()
        .into_iter()
        .filter(|answers| {
            matches!(
                answers.get("memory_profile"),
                Some("lean" | "jemalloc" | "system")
            )
        })
        .collect()
}

#[test]
fn a_few_services_cover_every_pair_of_answers() {
    let count = covering(&services()).len();

    assert!(count <= 25, "{count} services");
}

#[test]
fn the_lock_file_is_complete_for_every_pair_of_answers() {
    for answers in covering(&services()) {
        let service = answers.render().expect("the answers render");
        service
            .run(&["update", "--workspace", "--locked", "--quiet"])
            .unwrap_or_else(|err| panic!("{answers:?}: {err}"));
    }
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn every_pair_of_answers_compiles_and_is_clean() {
    let services = services();
    let mut services = covering(&services);
    // Services with the same jemalloc follow each other, as alternating would rebuild it each time.
    services.sort_by_key(|answers| (answers.get("heap_profiling"), answers.get("memory_profile")));
    for answers in services {
        println!("{answers:?}");
        let service = answers.render().expect("the answers render");
        service
            .run(&CLIPPY)
            .unwrap_or_else(|err| panic!("{answers:?}: {err}"));
    }
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn services_with_pages_and_with_a_front_end_pass_their_tests_on_servers() {
    let Some(url) = needs::postgres() else {
        return;
    };
    // Pages can be embedded only in a separate build directory: `saas_server` does that.
    for (starter, background, embedded_assets) in [
        ("saas-server", "redis", "false"),
        ("saas-client", "postgres", "true"),
    ] {
        let service = Answers::new("svc")
            .with("starter", starter)
            .with("database", "postgres")
            .with("background", background)
            .with("embedded_assets", embedded_assets)
            .render()
            .expect("the answers render");

        service
            .run_with(&["test"], &[("TEST_DATABASE_URL", &url)])
            .unwrap_or_else(|err| panic!("{starter} on {background}: {err}"));
    }
}
