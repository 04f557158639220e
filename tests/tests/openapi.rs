//! Slow tier: a service that describes its API, its viewer, and what the description promises.

use std::{env, fs, process::Command};

use serde_json::{json, Value};
use template_tests::{
    load_target::add_controller, needs, postgres::Database, Answers, Browser, Mailbox, Rendered,
    Running, CLIPPY,
};

/// Not the one of the examples in the description, with which requests might delete the account.
const PASSWORD: &str = "seven purple elephants";

fn described(starter: &str) -> Answers {
    Answers::new("svc")
        .with("starter", starter)
        .with("openapi", "true")
}

/// Runs the service's own tests of its description.
fn test(service: &Rendered) -> Result<(), String> {
    service
        .run(&["test", "--test", "mod", "openapi"])
        .map(drop)
        .map_err(|err| err.to_string())
}

#[test]
fn a_route_that_is_not_described_and_a_change_that_is_not_committed_fail_the_tests() {
    let service = described("rest-api").render().expect("it renders");
    test(&service).expect("they pass");

    service
        .run(&[
            "loco",
            "generate",
            "controller",
            "reports",
            "recent",
            "--auth",
        ])
        .expect("a controller");
    let error = test(&service).expect_err("the committed description is out of date");
    assert!(error.contains("run `cargo loco task openapi`"), "{error}");
    assert!(error.contains("4 passed; 1 failed"), "{error}");

    service
        .run(&["loco", "task", "openapi"])
        .expect("it is written");
    assert!(service
        .read("openapi.json")
        .contains("\"/api/reports/recent\""));
    test(&service).expect("they pass");

    let hidden = "use loco_rs::prelude::*;\n\n\
                  async fn show() -> Result<Response> {\n    format::empty()\n}\n\n\
                  pub fn routes() -> Routes {\n    Routes::new().add(\"/api/hidden\", get(show))\n}\n";
    add_controller(service.root(), "hidden", hidden).expect("a controller");
    let error = test(&service).expect_err("a route is not described");
    assert!(error.contains("get /api/hidden"), "{error}");
    assert!(error.contains("4 passed; 1 failed"), "{error}");
}

#[test]
fn the_viewer_shows_the_operations_without_other_hosts_and_production_has_none() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let service = described("lightweight").render().expect("it renders");
    let binary = service.build().expect("it builds");
    let running = service.start(&binary, &[]).expect("it starts");

    browser.open(&running.url("/api/docs"));

    assert_eq!(browser.path(), "/api/docs/index.html");
    browser.see("Get the name of the application");
    browser.see("/_readiness");

    let production = [("LOCO_ENV", "production"), ("HOST", "http://localhost")];
    let running = service.start(&binary, &production).expect("it starts");
    for path in ["/api/docs", "/api/docs/index.html", "/api/openapi.json"] {
        let error = running.get(path).expect_err("there is none");
        assert!(error.to_string().contains("404"), "{error}");
    }
    let asked = [production[0], production[1], ("OPENAPI", "true")];
    let running = service.start(&binary, &asked).expect("it starts");
    assert!(running.get("/api/openapi.json").is_ok());
}

/// A column of each type that differs in how it is described.
const SCAFFOLD: &str =
    "scaffold post title:string! content:text rating:int uid:uuid price:decimal \
    day:date hour:time opening:date_time moment:tstz flag:bool data:json kind:enum:draft,live \
    ratio:float";

/// A service with what the generators add, and its description.
fn with_generated_code(answers: &Answers, env: &[(&str, &str)]) -> Rendered {
    let service = answers.render().expect("it renders");
    for generator in [SCAFFOLD, "controller reports recent create --auth"] {
        let words = generator.split_whitespace();
        let args: Vec<&str> = ["loco", "generate"].into_iter().chain(words).collect();
        service
            .run_with(&args, env)
            .unwrap_or_else(|err| panic!("{generator}: {err}"));
    }
    service
        .run_with(&["loco", "task", "openapi"], env)
        .expect("it is written");
    service
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn generated_code_describes_itself_and_is_clean() {
    if !needs::program("sea-orm-cli") {
        return;
    }
    let service = with_generated_code(&described("rest-api"), &[]);

    service
        .run(&["fmt", "--all", "--check"])
        .expect("it is formatted");
    service.run(&CLIPPY).expect("clippy passes");
    test(&service).expect("they pass");
    let document: Value = serde_json::from_str(&service.read("openapi.json")).expect("JSON");
    let post = &document["components"]["schemas"]["PostDto"]["properties"];
    assert_eq!(post["moment"]["format"], "date-time");
    assert_eq!(post["day"]["format"], "date");
    assert_eq!(post["uid"]["format"], "uuid");
    assert_eq!(post["price"]["type"], json!(["string", "null"]));
    assert_eq!(post["title"]["type"], "string");
}

/// What a client may not see: a server error, or a response that is not described.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";
/// Those that end the client's own session, or change its password.
const EXCLUDED: [&str; 5] = [
    "logout",
    "log_in",
    "log_out",
    "end_session",
    "change_password",
];

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn thousands_of_requests_get_only_responses_that_are_described() {
    if !needs::program("schemathesis") || !needs::program("sea-orm-cli") {
        return;
    }
    for starter in ["rest-api", "saas-client"] {
        let service = with_generated_code(&described(starter), &[]);
        assert_conforms(&service, &[]);

        let Some(server) = needs::postgres() else {
            continue;
        };
        let database = Database::create(server);
        let url = database.url();
        let env = [("DATABASE_URL", url.as_str())];
        let answers = described(starter).with("database", "postgres");
        assert_conforms(&with_generated_code(&answers, &env), &env);
    }
}

/// Sends over 5000 generated requests to a service, with and without a login.
fn assert_conforms(service: &Rendered, env: &[(&str, &str)]) {
    // Otherwise most responses would be 429.
    let config = service.root().join("config/development.yaml");
    let limited = service.read("config/development.yaml");
    let unlimited = limited
        .replace("attempts_per_minute: 60", "attempts_per_minute: 0")
        .replace("login_attempts: 10", "login_attempts: 0");
    assert_ne!(limited, unlimited);
    fs::write(config, unlimited).expect("a file");
    let binary = service.build().expect("it builds");
    let mailbox = Mailbox::open();
    let mut all = vec![
        ("MAILER_HOST", "127.0.0.1"),
        ("MAILER_PORT", mailbox.port()),
    ];
    all.extend(env);
    let running = service.start(&binary, &all).expect("it starts");
    let token = register(&running, &mailbox);

    let requests = send_requests(&running, Some(&token)) + send_requests(&running, None);
    println!("{requests} requests to {env:?}");
    assert!(requests > 5000, "{requests}");
}

/// Sends generated requests and checks their responses. Returns their number.
fn send_requests(service: &Running, token: Option<&str>) -> u32 {
    let mut command = Command::new("schemathesis");
    command
        .arg("run")
        .arg(service.url("/api/openapi.json"))
        .args([
            "--checks",
            CHECKS,
            "--max-examples",
            "200",
            "--workers",
            "2",
        ])
        .args(["--suppress-health-check", "all", "--seed", "1"])
        .current_dir(env::temp_dir());
    if let Some(token) = token {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
        for operation in EXCLUDED {
            command.args(["--exclude-operation-id", operation]);
        }
    }
    let output = command.output().expect("schemathesis runs");

    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let mut lines = text.lines();
    let passed = lines.find_map(|line| line.trim().split_once(" generated, "));
    let (count, _) = passed.unwrap_or_else(|| panic!("no count in {text}"));
    count.parse().expect("a number")
}

/// The token of a new user, whose address is verified.
fn register(service: &Running, mailbox: &Mailbox) -> String {
    let post = |path: &str, body: &Value| -> Value {
        let response = ureq::post(service.url(path)).send_json(body);
        response.expect("2xx").body_mut().read_json().expect("JSON")
    };
    let user = json!({ "name": "Ann", "email": "ann@example.com", "password": PASSWORD });
    post("/api/auth/register", &user);
    let link = mailbox.link(&service.url(""));
    let token = link.rsplit(['/', '#']).next().expect("a token");
    post(&format!("/api/auth/verify/{token}"), &json!({}));
    let login = post("/api/auth/login", &user);
    login["token"].as_str().expect("a token").to_string()
}
