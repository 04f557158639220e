//! Checks the environment variables that `config/production.yaml` reads. This happens before
//! anything else, so that all problems are reported at once.

mod rules;
{%- unless starter == "lightweight" %}
mod services;
{%- endunless %}
mod variables;

use std::env::VarError;

use loco_rs::{config::Config, environment::Environment, Error, Result};

pub use variables::VARIABLES;

/// An environment variable that `config/production.yaml` reads.
pub struct Variable {
    pub name: &'static str,
    presence: Presence,
    rule: Rule,
    pub example: &'static str,
}

/// Whether a variable must be set.
pub enum Presence {
    Required,
    /// Has a default.
    Optional,
    /// Has an empty default, which turns something off.
    MayBeEmpty,
}

/// What a variable's value must be.
pub enum Rule {
    AnyText,
    /// A URL of the same kind as the example.
    Url,
    Is(fn(&str) -> rules::CheckResult),
}

impl Variable {
    #[must_use]
    pub const fn required(name: &'static str, rule: Rule, example: &'static str) -> Self {
        Self {
            name,
            presence: Presence::Required,
            rule,
            example,
        }
    }

    #[must_use]
    pub const fn optional(name: &'static str, rule: Rule, example: &'static str) -> Self {
        Self {
            presence: Presence::Optional,
            ..Self::required(name, rule, example)
        }
    }

    #[must_use]
    pub const fn may_be_empty(name: &'static str, rule: Rule, example: &'static str) -> Self {
        Self {
            presence: Presence::MayBeEmpty,
            ..Self::required(name, rule, example)
        }
    }

    fn check(&self, value: Result<String, VarError>) -> rules::CheckResult {
        let value = match (value, &self.presence) {
            (Ok(value), _) => value,
            (Err(VarError::NotPresent), Presence::Required) => return Err("is missing".to_string()),
            (Err(VarError::NotPresent), _) => return Ok(()),
            (Err(VarError::NotUnicode(_)), _) => return Err("is not UTF-8".to_string()),
        };
        match (value.is_empty(), &self.presence) {
            (false, _) => rules::single_line(&value).and_then(|()| match self.rule {
                Rule::AnyText => Ok(()),
                Rule::Url => rules::url_like(&value, self.example),
                Rule::Is(rule) => rule(&value),
            }),
            (true, Presence::MayBeEmpty) => Ok(()),
            (true, Presence::Optional) => Err("is empty: unset it to use the default".to_string()),
            (true, Presence::Required) => Err("is empty".to_string()),
        }
    }
}

/// Loads an environment's configuration.
///
/// # Errors
///
/// Returns an error if a setting is missing, malformed or cannot work.
pub fn load(environment: &Environment) -> Result<Config> {
    if environment == &Environment::Production {
        check()?;
    }
{%- if starter == "lightweight" %}
    environment.load()
{%- else %}
    let config = environment.load()?;
    services::ensure_disposable(&config.database)?;
    Ok(config)
{%- endif %}
}

/// Prints each variable that is missing or invalid, but never its value, which may be a secret.
fn check() -> Result<()> {
    let violations = violations(|name| std::env::var(name));
    for violation in &violations {
        eprintln!("{violation}");
    }
    match violations.len() {
        0 => Ok(()),
        1 => Err(Error::string(
            "an environment variable is invalid: see above",
        )),
        count => Err(Error::string(&format!(
            "{count} environment variables are invalid: see above"
        ))),
    }
}

/// Returns a line for each variable that is missing or invalid.
pub fn violations(read: impl Fn(&str) -> Result<String, VarError>) -> Vec<String> {
    let violations = VARIABLES.iter().filter_map(|variable| {
        let violation = variable.check(read(variable.name)).err()?;
        let Variable { name, example, .. } = variable;
        Some(format!("{name} {violation}, for example {name}={example}"))
    });
    violations.collect()
}
