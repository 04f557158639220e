//! Slow tier: the front end of `saas-client`, built with npm and served by the service.

use std::{
    collections::BTreeMap,
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use template_tests::{Answers, Rendered, Running, CLIPPY};

const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

/// Whether there is npm; where there is none, that is said loudly, and fails in CI.
fn has_npm() -> bool {
    let found = Command::new(NPM)
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        assert!(env::var_os("CI").is_none(), "CI has no npm");
        eprintln!("\n\nSKIPPED: there is no npm\n\n");
    }
    found
}

/// Runs npm in the service's front end.
fn npm(service: &Rendered, args: &[&str]) {
    let output = Command::new(NPM)
        .args(args)
        .current_dir(service.root().join("frontend"))
        .env("NO_COLOR", "1")
        .output()
        .expect("npm runs");
    assert!(
        output.status.success(),
        "npm {}:\n{}{}",
        args.join(" "),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn render(embedded_assets: &str) -> Rendered {
    Answers::new("svc")
        .with("starter", "saas-client")
        .with("embedded_assets", embedded_assets)
        .render()
        .expect("the answers render")
}

/// The TypeScript types with their texts.
fn bindings(service: &Rendered) -> BTreeMap<PathBuf, String> {
    service
        .files()
        .into_iter()
        .filter(|file| file.starts_with("frontend/src/bindings"))
        .map(|file| (file.clone(), service.read(file)))
        .collect()
}

/// The page is the built one, its script comes with it, its own paths can be loaded anew, and no
/// call of the API gets it.
fn assert_front_end_is_served(running: &Running) {
    let page = running.get("/").expect("the page");
    assert!(page.contains("<title>svc</title>"), "{page}");
    assert_eq!(running.get("/account").expect("the page"), page);

    let script = page
        .split('"')
        .find(|text| text.starts_with("/assets/") && text.ends_with(".js"))
        .unwrap_or_else(|| panic!("no script in {page}"));
    let answer = ureq::get(running.url(script)).call().expect("the script");
    let content_type = answer.headers()["content-type"].to_str().expect("text");
    assert_eq!(content_type, "text/javascript");

    let error = running.get("/api/unknown").expect_err("no such route");
    assert!(error.to_string().contains("404"), "{error}");
}

#[test]
fn the_front_end_installs_from_its_lock_file_lints_passes_its_tests_builds_and_is_served() {
    let service = render("false");
    service
        .run(&["fmt", "--all", "--check"])
        .expect("it is formatted");
    let committed = bindings(&service);
    service.run(&["test"]).expect("its own tests pass");
    assert_eq!(bindings(&service), committed, "cargo test leaves a diff");
    let binary = service.build().expect("it builds");
    let running = service.start(&binary, &[]).expect("it starts");
    let page = running.get("/").expect("a page");
    assert!(page.contains("npm run build"), "{page}");
    if !has_npm() {
        return;
    }

    npm(&service, &["ci"]);
    npm(&service, &["run", "lint", "--", "--deny-warnings"]);
    npm(&service, &["test"]);
    npm(&service, &["run", "build"]);

    assert_front_end_is_served(&running);
    drop(running);
    service.run(&CLIPPY).expect("clippy is content");
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn an_embedded_front_end_is_served_without_its_folder() {
    if !has_npm() {
        return;
    }
    let service = render("true");
    npm(&service, &["ci"]);
    npm(&service, &["run", "build"]);
    service
        .run(&["fmt", "--all", "--check"])
        .expect("it is formatted");
    service.run(&["test"]).expect("its own tests pass");
    service.run(&CLIPPY).expect("clippy is content");

    let binary = service.build().expect("it builds");
    fs::remove_dir_all(service.root().join("frontend")).expect("the front end");
    let running = service.start(&binary, &[]).expect("it starts");

    assert_front_end_is_served(&running);
}
