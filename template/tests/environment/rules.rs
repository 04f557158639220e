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

/// What `openssl rand -base64 48` could have made.
const RANDOM: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v";

/// A value for each variable: its example.
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

/// What is wrong with the examples and these values.
pub fn faults_with(values: &[(&'static str, &str)]) -> Vec<String> {
    let mut all = examples();
    all.extend(
        values
            .iter()
            .map(|(name, value)| (*name, (*value).to_string())),
    );
    environment::faults(|name| all.get(name).cloned().ok_or(VarError::NotPresent))
}

#[test]
fn each_variable_of_production_is_checked() {
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
fn all_that_is_missing_is_told_at_once() {
    let missing = environment::faults(|_| Err(VarError::NotPresent));

    let config = fs::read_to_string("config/production.yaml").expect("the configuration");
    for variable in VARIABLES {
        let has_default = config.contains(&format!("\"{}\", default=", variable.name));
        let is_told = missing
            .iter()
            .any(|fault| fault.starts_with(&format!("{} is missing", variable.name)));
        assert_eq!(is_told, !has_default, "{}", variable.name);
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
fn a_wrong_value_is_named_and_not_repeated(#[case] name: &'static str, #[case] value: &str) {
    let faults = faults_with(&[(name, value)]);

    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with(name), "{faults:?}");
    assert!(!faults[0].contains("user:password"), "{faults:?}");
}

#[rstest]
#[case("HOST", "http://[2001:db8::1]:8080")]
#[case("HOST", "https://xn--bcher-kva.example")]
#[case("CORS_ORIGIN", "https://one.example, http://localhost:3000")]
#[case("BINDING", "::1")]
#[case("BINDING", "[::]")]
#[case("BINDING", "localhost")]
fn what_is_unusual_and_right_is_taken(#[case] name: &'static str, #[case] value: &str) {
    assert_eq!(faults_with(&[(name, value)]), Vec::<String>::new());
}

#[tokio::test]
#[serial]
async fn production_is_configured_by_the_examples() {
    let config = production_with(&[]).await;

    assert_eq!(config.server.host, "https://example.com");
}

/// The configuration with the examples and these values.
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
