//! What `config/production.yaml` reads from the environment: checked before anything else, so that
//! all that is wrong is told at once.

mod rules;
{%- unless starter == "lightweight" %}
mod services;
{%- endunless %}
mod variables;

use std::env::VarError;

use loco_rs::{config::Config, environment::Environment, Error, Result};

pub use variables::VARIABLES;

/// A variable that `config/production.yaml` reads.
pub struct Variable {
    pub name: &'static str,
    need: Need,
    rule: Rule,
    pub example: &'static str,
}

/// Whether a variable has to be set.
pub enum Need {
    Required,
    /// There is a default.
    Optional,
    /// The default is empty, and stands for nothing.
    MayBeEmpty,
}

/// What its value must be.
pub enum Rule {
    AnyText,
    /// An address like the example.
    Address,
    Is(fn(&str) -> rules::Checked),
}

impl Variable {
    #[must_use]
    pub const fn required(name: &'static str, rule: Rule, example: &'static str) -> Self {
        Self {
            name,
            need: Need::Required,
            rule,
            example,
        }
    }

    #[must_use]
    pub const fn optional(name: &'static str, rule: Rule, example: &'static str) -> Self {
        Self {
            need: Need::Optional,
            ..Self::required(name, rule, example)
        }
    }

    #[must_use]
    pub const fn may_be_empty(name: &'static str, rule: Rule, example: &'static str) -> Self {
        Self {
            need: Need::MayBeEmpty,
            ..Self::required(name, rule, example)
        }
    }

    fn check(&self, value: Result<String, VarError>) -> rules::Checked {
        let value = match (value, &self.need) {
            (Ok(value), _) => value,
            (Err(VarError::NotPresent), Need::Required) => return Err("is missing".to_string()),
            (Err(VarError::NotPresent), _) => return Ok(()),
            (Err(VarError::NotUnicode(_)), _) => return Err("is not UTF-8".to_string()),
        };
        match (value.is_empty(), &self.need) {
            (false, _) => rules::printable(&value).and_then(|()| match self.rule {
                Rule::AnyText => Ok(()),
                Rule::Address => rules::address(&value, self.example),
                Rule::Is(rule) => rule(&value),
            }),
            (true, Need::MayBeEmpty) => Ok(()),
            (true, Need::Optional) => Err("is empty: unset it to have the default".to_string()),
            (true, Need::Required) => Err("is empty".to_string()),
        }
    }
}

/// Loads the configuration of an environment.
///
/// # Errors
///
/// When what is configured is missing, malformed, or cannot work.
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

/// Prints each variable that is missing or wrong, but no value: it may be a secret.
fn check() -> Result<()> {
    let faults = faults(|name| std::env::var(name));
    for fault in &faults {
        eprintln!("{fault}");
    }
    match faults.len() {
        0 => Ok(()),
        1 => Err(Error::string("an environment variable is wrong: see above")),
        count => Err(Error::string(&format!(
            "{count} environment variables are wrong: see above"
        ))),
    }
}

/// A line for each variable that is missing or wrong.
pub fn faults(read: impl Fn(&str) -> Result<String, VarError>) -> Vec<String> {
    let faults = VARIABLES.iter().filter_map(|variable| {
        let fault = variable.check(read(variable.name)).err()?;
        let Variable { name, example, .. } = variable;
        Some(format!("{name} {fault}, as in {name}={example}"))
    });
    faults.collect()
}
