use std::{
    collections::{BTreeSet, HashMap},
    env::{self, VarError},
    fs,
};

use loco_rs::{app::Hooks, config::Config, environment::Environment};
use rstest::rstest;
use serial_test::serial;

use {{crate_name}}::app::App;
use {{crate_name}}::environment::{self, VARIABLES};

/// A possible output of `openssl rand -base64 48`.
const RANDOM: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v";

/// The example value of each variable.
fn examples() -> HashMap<&'static str, String> {
    let examples = VARIABLES.iter().map(|variable| {
        let example = match variable.example.trim_matches('"') {
            command if command.starts_with("$(") => RANDOM,
            example => example,
        };
        (variable.name, example.to_string())
    });
    examples.collect()
}

/// The violations when the examples are overridden with these values.
pub fn violations_with(values: &[(&'static str, &str)]) -> Vec<String> {
    let mut all = examples();
    all.extend(
        values
            .iter()
            .map(|(name, value)| (*name, (*value).to_string())),
    );
    environment::violations(|name| all.get(name).cloned().ok_or(VarError::NotPresent))
}

#[test]
fn every_production_variable_is_checked() {
    let config = fs::read_to_string("config/production.yaml").expect("the configuration");
    let read: BTreeSet<&str> = config
        .split("get_env(name=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();

    let checked: BTreeSet<&str> = VARIABLES.iter().map(|variable| variable.name).collect();

    assert_eq!(checked, read);
}

#[test]
fn all_missing_variables_are_reported_at_once() {
    let missing = environment::violations(|_| Err(VarError::NotPresent));

    let config = fs::read_to_string("config/production.yaml").expect("the configuration");
    for variable in VARIABLES {
        let has_default = config.contains(&format!("\"{}\", default=", variable.name));
        let is_reported = missing
            .iter()
            .any(|violation| violation.starts_with(&format!("{} is missing", variable.name)));
        assert_eq!(is_reported, !has_default, "{}", variable.name);
    }
}

#[rstest]
#[case("HOST", "example.com")]
#[case("HOST", "https://example.com/")]
#[case("HOST", "https://example.com/app")]
#[case("HOST", "https://user:password@example.com")]
#[case("HOST", "")]
#[case("CORS_ORIGIN", "https://example.com, *")]
#[case("BINDING", "0.0.0.0:5150")]
#[case("PORT", "65536")]
#[case("PORT", "0x10")]
#[case("LOG_LEVEL", "verbose")]
#[case("BEHIND_PROXY", "yes")]
#[case("SHUTDOWN_DRAIN", "-1")]
#[case("REQUESTS_IN_FLIGHT", "0")]
#[case("HOST", "https://example.com\nmore: true")]
fn an_invalid_value_is_reported_but_not_repeated(#[case] name: &'static str, #[case] value: &str) {
    let violations = violations_with(&[(name, value)]);

    assert_eq!(violations.len(), 1, "{violations:?}");
    assert!(violations[0].starts_with(name), "{violations:?}");
    assert!(!violations[0].contains("user:password"), "{violations:?}");
}

#[rstest]
#[case("HOST", "http://[2001:db8::1]:8080")]
#[case("HOST", "https://xn--bcher-kva.example")]
#[case("CORS_ORIGIN", "https://one.example, http://localhost:3000")]
#[case("BINDING", "::1")]
#[case("BINDING", "[::]")]
#[case("BINDING", "localhost")]
fn unusual_but_valid_values_are_accepted(#[case] name: &'static str, #[case] value: &str) {
    assert_eq!(violations_with(&[(name, value)]), Vec::<String>::new());
}

#[tokio::test]
#[serial]
async fn the_examples_configure_production() {
    let config = production_with(&[]).await;

    assert_eq!(config.server.host, "https://example.com");
}

/// The configuration when the examples are overridden with these values.
pub async fn production_with(values: &[(&'static str, &str)]) -> Config {
    let mut all = examples();
    all.extend(
        values
            .iter()
            .map(|(name, value)| (*name, (*value).to_string())),
    );
    let before: HashMap<&str, Option<String>> = all
        .keys()
        .map(|name| (*name, env::var(name).ok()))
        .collect();
    for (name, value) in &all {
        env::set_var(name, value);
    }
    let config = App::load_config(&Environment::Production).await;
    for (name, value) in before {
        match value {
            Some(value) => env::set_var(name, value),
            None => env::remove_var(name),
        }
    }
    config.expect("the values work")
}
