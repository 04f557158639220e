//! Slow tier: services that render pages.

use std::{fs, path::Path};

use template_tests::{target_dir, Answers, Rendered, Running, CLIPPY, JWT_SECRET};

fn render(embedded_assets: &str) -> Rendered {
    Answers::new("svc")
        .with("starter", "saas-server")
        .with("embedded_assets", embedded_assets)
        .render()
        .expect("the answers render")
}

#[test]
fn a_saas_server_is_clean_and_tested_and_its_login_is_not_sent_in_the_clear() {
    let service = render("false");
    service
        .run(&["fmt", "--all", "--check"])
        .expect("it is formatted");
    service.run(&["test"]).expect("its own tests pass");
    service.run(&CLIPPY).expect("clippy passes");

    let binary = service.build().expect("it builds");
    let production = [
        ("LOCO_ENV", "production"),
        ("BINDING", "localhost"),
        ("DATABASE_URL", "sqlite://production.sqlite?mode=rwc"),
        ("HOST", "https://example.com"),
        ("CORS_ORIGIN", "https://app.example.com"),
        ("JWT_SECRET", JWT_SECRET),
        ("MAILER_HOST", "localhost"),
        ("MAILER_USER", "user"),
        ("MAILER_PASSWORD", "password"),
        ("MAILER_FROM", "Svc <svc@example.com>"),
    ];
    let running = service.start(&binary, &production).expect("it starts");
    let user = [
        ("name", "New User"),
        ("email", "new@example.com"),
        ("password", "correct horse"),
    ];
    let agent = ureq::Agent::config_builder().max_redirects(0).build();
    let agent = ureq::Agent::new_with_config(agent);
    agent
        .post(running.url("/register"))
        .send_form(user)
        .expect("a redirect");
    let response = agent
        .post(running.url("/login"))
        .send_form(user)
        .expect("a redirect");

    let cookie = response.headers()["set-cookie"].to_str().expect("text");
    assert!(cookie.starts_with("auth_token=ey"), "{cookie}");
    assert!(cookie.contains("; Secure"), "{cookie}");

    // Static files are compressed, and revalidated after a deployment.
    let response = agent
        .get(running.url("/static/style.css"))
        .header("accept-encoding", "gzip")
        .call()
        .expect("2xx");
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.headers()["cache-control"], "no-cache");

    // Only pages that CORS allows may send forms.
    let sent_from = |origin: &str| {
        agent
            .post(running.url("/login"))
            .config()
            .http_status_as_error(false)
            .build()
            .header("accept", "text/html")
            .header("origin", origin)
            .header("sec-fetch-site", "cross-site")
            .send_form(user)
            .expect("a response")
    };
    assert_eq!(sent_from("https://app.example.com").status(), 303);
    let mut refused = sent_from("https://elsewhere.example");
    assert_eq!(refused.status(), 403);
    // The error page has the headers of every response.
    assert_eq!(refused.headers()["x-content-type-options"], "nosniff");
    assert!(refused.headers().contains_key("x-request-id"));
    let page = refused.body_mut().read_to_string().expect("text");
    assert!(page.contains("(error 403)"), "{page}");
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn embedded_pages_are_served_without_the_assets_folder() {
    let service = render("true");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let config = service.root().join("config").display().to_string();
    let env = [("LOCO_CONFIG_FOLDER", config.as_str())];

    // Loco looks for them next to the build directory, which is not in the service here.
    let assets = target_dir().with_file_name("assets");
    drop(fs::remove_dir_all(&assets));
    let without = service.build().expect("it builds");
    let Err(refused) = service.start(&without, &env) else {
        panic!("it starts without assets")
    };
    let refused = refused.to_string();
    assert!(refused.contains("no assets are built in"), "{refused}");

    copy_assets(&service, &assets);
    let binary = service.build();
    fs::remove_dir_all(&assets).expect("they are removed again");
    let binary = binary.expect("it builds");
    let running = Running::start(&binary, elsewhere.path(), &env).expect("it starts elsewhere");

    let home = running.get("/?lang=de-DE").expect("2xx");
    assert!(home.contains("Hallo Welt!"), "{home}");
    let style = running.get("/static/style.css").expect("2xx");
    assert_eq!(style, service.read("assets/static/style.css"));
}

fn copy_assets(service: &Rendered, to: &Path) {
    for file in service.files() {
        if let Ok(asset) = file.strip_prefix("assets") {
            let copy = to.join(asset);
            fs::create_dir_all(copy.parent().expect("a parent")).expect("a directory");
            fs::copy(service.root().join(&file), copy).expect("a copy");
        }
    }
}
