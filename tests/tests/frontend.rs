//! Slow tier: the front end of `saas-client`, built with npm and served by the service.

use std::{
    collections::BTreeMap, fs, io::Write, net::TcpStream, path::PathBuf, process::Command, thread,
    time::Duration,
};

use template_tests::{needs, Answers, Rendered, Running, CLIPPY, JWT_SECRET};

const PRODUCTION: [(&str, &str); 10] = [
    ("LOCO_ENV", "production"),
    ("BINDING", "localhost"),
    ("DATABASE_URL", "sqlite://production.sqlite?mode=rwc"),
    ("HOST", "https://example.com"),
    ("JWT_SECRET", JWT_SECRET),
    ("MAILER_HOST", "localhost"),
    ("MAILER_USER", "user"),
    ("MAILER_PASSWORD", "password"),
    ("MAILER_FROM", "Svc <svc@example.com>"),
    ("REQUESTS_IN_FLIGHT", "1"),
];

/// Runs npm in the service's front end.
fn npm(service: &Rendered, args: &[&str]) {
    let output = Command::new(needs::NPM)
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

fn render(embedded_assets: &str, openapi: &str) -> Rendered {
    Answers::new("svc")
        .with("starter", "saas-client")
        .with("embedded_assets", embedded_assets)
        .with("openapi", openapi)
        .render()
        .expect("the answers render")
}

/// The TypeScript types, as file names and texts.
fn bindings(service: &Rendered) -> BTreeMap<PathBuf, String> {
    service
        .files()
        .into_iter()
        .filter(|file| file.starts_with("frontend/src/bindings"))
        .map(|file| (file.clone(), service.read(file)))
        .collect()
}

/// The built page is served with its script, its own paths can be reloaded, and no API call returns
/// it.
fn assert_front_end_is_served(running: &Running) {
    let page = running.get("/").expect("the page");
    assert!(page.contains("<title>svc</title>"), "{page}");
    assert_eq!(running.get("/account").expect("the page"), page);

    let script = page
        .split('"')
        .find(|text| text.starts_with("/assets/") && text.ends_with(".js"))
        .unwrap_or_else(|| panic!("no script in {page}"));
    let response = ureq::get(running.url(script)).call().expect("the script");
    let content_type = response.headers()["content-type"].to_str().expect("text");
    assert_eq!(content_type, "text/javascript");

    // The page names the scripts of its own build, so an outdated one would be blank.
    let response = ureq::get(running.url("/")).call().expect("the page");
    assert_eq!(response.headers()["cache-control"], "no-cache");

    let error = running.get("/api/unknown").expect_err("no such route");
    assert!(error.to_string().contains("404"), "{error}");
}

/// The largest file is compressed, and a slow client makes nobody wait.
fn assert_front_end_is_quick_in_production(running: &Running) {
    let page = running.get("/").expect("the page");
    let script = page
        .split('"')
        .find(|text| text.ends_with(".js"))
        .expect("a script");
    let response = ureq::get(running.url(script))
        .header("accept-encoding", "gzip")
        .call()
        .expect("the script");
    assert_eq!(response.headers()["content-encoding"], "gzip");

    // A request whose body does not arrive does not take the only permit.
    let mut held = TcpStream::connect(("localhost", running.port())).expect("a connection");
    held.write_all(
        b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
          Content-Length: 100\r\n\r\n{",
    )
    .expect("the start of a request");
    thread::sleep(Duration::from_millis(500));
    for path in ["/", "/account", script] {
        running.get(path).expect("2xx");
    }
    let error = running
        .get("/api/auth/current")
        .expect_err("nobody is logged in");
    assert!(error.to_string().contains("401"), "{error}");
}

#[test]
fn the_front_end_installs_from_its_lock_file_lints_passes_its_tests_builds_and_is_served() {
    let service = render("false", "true");
    service
        .run(&["fmt", "--all", "--check"])
        .expect("it is formatted");
    let binary = service.build().expect("it builds");
    let running = service.start(&binary, &[]).expect("it starts");
    let page = running.get("/").expect("a page");
    assert!(page.contains("npm run build"), "{page}");
    drop(running);

    // A clone has no frontend/dist, since Git ignores it.
    fs::remove_dir_all(service.root().join("frontend/dist")).expect("the page");
    let committed = bindings(&service);
    service.run(&["test"]).expect("its own tests pass");
    assert_eq!(bindings(&service), committed, "cargo test leaves a diff");
    let running = service.start(&binary, &[]).expect("it starts");
    if !needs::program(needs::NPM) {
        return;
    }

    npm(&service, &["ci"]);
    npm(&service, &["run", "lint"]);
    npm(&service, &["test"]);
    npm(&service, &["run", "build"]);

    assert_front_end_is_served(&running);
    drop(running);
    let running = service.start(&binary, &PRODUCTION).expect("it starts");
    assert_front_end_is_quick_in_production(&running);
    service.run(&CLIPPY).expect("clippy passes");
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn an_embedded_front_end_is_served_without_its_folder() {
    let service = render("true", "false");
    service
        .run(&["fmt", "--all", "--check"])
        .expect("it is formatted");

    // As in a clone, and in its CI workflow: nothing is built yet.
    assert!(!service.has("frontend/dist"));
    service.run(&["test"]).expect("its own tests pass");
    service.run(&CLIPPY).expect("clippy passes");
    let binary = service.build().expect("it builds");
    let running = service.start(&binary, &[]).expect("it starts");
    let page = running.get("/").expect("a page");
    assert!(page.contains("npm --prefix frontend run build"), "{page}");
    drop(running);
    if !needs::program(needs::NPM) {
        return;
    }

    npm(&service, &["ci"]);
    npm(&service, &["run", "build"]);
    service.run(&["test"]).expect("its own tests pass");
    let binary = service.build().expect("it builds");
    fs::remove_dir_all(service.root().join("frontend")).expect("the front end");
    let running = service.start(&binary, &[]).expect("it starts");
    assert_front_end_is_served(&running);
    drop(running);
    let running = service.start(&binary, &PRODUCTION).expect("it starts");
    assert_front_end_is_quick_in_production(&running);
}
