//! Slow tier: what a Loco user brings along works here, as in a service that `loco new` made.

use std::{env, fs, path::Path};

use template_tests::{stock, Answers, Rendered, CLIPPY};
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
fn the_tests_of_a_stock_lightweight_service_pass() {
    assert_stock_tests_pass("lightweight", 1);
}

/// Runs `cargo loco generate …`, with SeaORM's command at hand.
fn generate(service: &Rendered, args: &str) {
    let sea_orm_cli = Path::new(env!("CARGO_BIN_EXE_sea-orm-cli"));
    let path = env::join_paths(
        std::iter::once(sea_orm_cli.parent().expect("its directory").to_path_buf())
            .chain(env::split_paths(&env::var_os("PATH").expect("PATH"))),
    )
    .expect("a search path");
    let args: Vec<&str> = ["loco", "generate"]
        .into_iter()
        .chain(args.split(' '))
        .collect();
    service
        .run_with(&args, &[("PATH", path.to_str().expect("text"))])
        .unwrap_or_else(|err| panic!("{err}"));
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn what_loco_generates_builds_is_formatted_and_passes_its_tests() {
    let service = render("rest-api");
    for args in [
        "controller guide --api",
        "task report",
        "worker thumbnail",
        "mailer invoice",
        "migration AddRatingToUsers rating:int",
        "model tags label:string",
        "scaffold posts title:string! content:text --api",
        "scheduler",
        "data stocks",
    ] {
        generate(&service, args);
    }

    service
        .run(&["fmt", "--all", "--check"])
        .expect("it is formatted");
    service.run(&["test"]).expect("all tests pass");
    service.run(&CLIPPY).expect("clippy is content");
}
