//! Slow tier: what a Loco user brings along works here, as in a service that `loco new` made.

use std::{collections::BTreeSet, fs, path::Path};

use template_tests::{needs, stock, Answers, Rendered, CLIPPY};
use walkdir::WalkDir;

fn render(starter: &str) -> Rendered {
    Answers::new("svc")
        .with("starter", starter)
        .render()
        .expect("the answers render")
}

fn copy(from: &Path, to: &Path) {
    for entry in WalkDir::new(from) {
        let entry = entry.expect("it can be read");
        let path = to.join(entry.path().strip_prefix(from).expect("below it"));
        if entry.file_type().is_dir() {
            fs::create_dir_all(path).expect("a directory");
        } else {
            fs::copy(entry.path(), path).expect("a copy");
        }
    }
}

/// The tests that Loco's own service comes with, dropped into ours.
fn assert_stock_tests_pass(starter: &str, expected: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let stock = stock::generate(starter, "svc", directory.path()).expect("a stock service");
    let service = render(starter);
    fs::remove_dir_all(service.root().join("tests")).expect("our own tests go");
    copy(&stock.join("tests"), &service.root().join("tests"));

    let output = service
        .run(&["test", "--test", "mod"])
        .expect("the stock tests pass");

    let passed = format!("test result: ok. {expected} passed; 0 failed; 0 ignored");
    assert!(output.contains(&passed), "{output}");
}

#[test]
fn the_tests_of_a_stock_rest_service_pass() {
    assert_stock_tests_pass("rest-api", 26);
}

#[test]
fn the_tests_of_a_stock_service_with_server_rendered_pages_pass() {
    assert_stock_tests_pass("saas-server", 28);
}

#[test]
#[ignore = "its tests are those of a REST service: the workflow on GitHub runs it, with --ignored"]
fn the_tests_of_a_stock_service_with_a_front_end_pass() {
    assert_stock_tests_pass("saas-client", 26);
}

#[test]
fn the_tests_of_a_stock_lightweight_service_pass() {
    assert_stock_tests_pass("lightweight", 1);
}

/// What the generators make builds, is formatted, and passes its tests.
fn assert_generators_work(starter: &str, generators: &[&str]) {
    if !needs::program("sea-orm-cli") {
        return;
    }
    let service = render(starter);
    for generator in generators {
        let args: Vec<&str> = ["loco", "generate"]
            .into_iter()
            .chain(generator.split(' '))
            .collect();
        service
            .run(&args)
            .unwrap_or_else(|err| panic!("{generator}: {err}"));
    }

    service
        .run(&["fmt", "--all", "--check"])
        .expect("it is formatted");
    service.run(&["test"]).expect("all tests pass");
    service.run(&CLIPPY).expect("clippy is content");
}

const GENERATORS: [&str; 9] = [
    "task report",
    "worker thumbnail",
    "data stocks",
    "controller guide --api",
    "mailer invoice",
    "migration AddRatingToUsers rating:int",
    "model tags label:string",
    "scaffold posts title:string! content:text --api",
    "scheduler",
];

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn what_loco_generates_in_a_rest_service_passes_its_tests() {
    assert_generators_work("rest-api", &GENERATORS);
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn what_loco_generates_in_a_service_with_server_rendered_pages_passes_its_tests() {
    assert_generators_work("saas-server", &GENERATORS);
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn what_loco_generates_in_a_lightweight_service_passes_its_tests() {
    // As in a stock one: the others want a database.
    assert_generators_work("lightweight", &GENERATORS[..4]);
}

/// What `cargo loco routes` prints: `POST /api/auth/login`, for example.
fn routes(service: &Rendered) -> BTreeSet<String> {
    let output = service
        .run(&["run", "--", "routes"])
        .expect("it has routes");
    let routes = output.lines().filter_map(|line| {
        let mut words = line.split_whitespace().rev();
        let path = words.next().filter(|path| path.starts_with('/'))?;
        // Between the branches of the tree are names without a method.
        let method = words.next().filter(|word| word.is_ascii())?;
        Some(format!("{method} {path}"))
    });
    routes.collect()
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn every_route_of_a_stock_service_is_there() {
    for starter in ["rest-api", "saas-server", "saas-client", "lightweight"] {
        let directory = tempfile::tempdir().expect("a directory");
        let stock = stock::generate(starter, "svc", directory.path()).expect("a stock service");
        let stock = routes(&Rendered::at(stock));

        let ours = routes(&render(starter));

        assert!(stock.len() > 3, "{starter}: {stock:?}");
        let missing: Vec<_> = stock.difference(&ours).collect();
        assert!(missing.is_empty(), "{starter}: {missing:?}");
    }
}
