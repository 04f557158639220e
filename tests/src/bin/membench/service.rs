//! The services that are compared: generated or stock, with the routes of the load, as release
//! builds.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{ensure, Context, Result};
use template_tests::{
    loaded::{self, binary},
    profiles, Running,
};

/// A row of the table: a built service, and how it is started.
#[derive(Debug, Clone)]
pub struct Service {
    pub name: String,
    /// What one has without this template.
    pub peer: bool,
    /// Where it was built; the binary stands there too.
    directory: PathBuf,
    env: Vec<(&'static str, String)>,
}

impl Service {
    /// # Errors
    ///
    /// When it does not answer.
    pub fn start(&self) -> Result<Running> {
        let mut env = vec![
            ("BINDING", "127.0.0.1"),
            ("LOG_LEVEL", "error"),
            ("DATABASE_URL", "sqlite://load.sqlite?mode=rwc"),
            ("DB_MAX_CONNECTIONS", "10"),
            ("DB_CONNECT_TIMEOUT", "60000"),
        ];
        env.extend(self.env.iter().map(|(name, value)| (*name, value.as_str())));
        Running::start(&binary(&self.directory), &self.directory, &env)
            .with_context(|| self.name.clone())
    }

    fn named(&self, name: &str) -> Self {
        Self {
            name: name.to_string(),
            ..self.clone()
        }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_string()));
        self
    }

    /// With the listener for the people on call on this port.
    pub fn listening(self, port: u16) -> Self {
        self.with("MEMORY_ADMIN_BIND", &format!("127.0.0.1:{port}"))
    }

    fn unbounded(self) -> Self {
        self.with("LOCO_CONFIG_FOLDER", "config-unbounded")
    }

    /// The same with these options of jemalloc, set at the start.
    fn with_options(self, options: &str) -> Result<Self> {
        let output = Command::new(binary(&self.directory))
            .args(["--environment", "development", "task", "memory"])
            .current_dir(&self.directory)
            .env("MALLOC_CONF", options)
            .output()?;
        let report = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success() && !report.contains("NOT IN EFFECT"),
            "{options} is not in effect:\n{report}"
        );
        Ok(self.with("MALLOC_CONF", options))
    }
}

/// The default service with all its defaults: the memory budget is what the other rows do without.
const AS_GENERATED: &str = "as generated";
/// The profile that sets no options.
const PLAIN: &str = "jemalloc";

/// How the rows are made.
pub struct Making<'a> {
    /// Where services are built.
    pub work: &'a Path,
    /// The rows that are wanted; all of them if none is named.
    pub only: &'a [String],
    /// Take the binaries of an earlier run.
    pub built: bool,
    /// Run the profiles that are nothing but options on the service of the profile `jemalloc`, with
    /// their options set at the start.
    pub one_build: bool,
}

/// The service as it is generated, with the default profile.
///
/// # Errors
///
/// When it cannot be made or built.
pub fn default(making: &Making<'_>) -> Result<Service> {
    let name = &profiles::all()[0].name;
    generated(making.work, name, &[], &[], making.built)
}

/// Every row: the profiles without admission of requests, the peers, and the default service.
///
/// # Errors
///
/// When a service cannot be made or built.
pub fn all(making: &Making<'_>, default: &Service) -> Result<Vec<Service>> {
    let Making {
        work, built, only, ..
    } = *making;
    let wanted = |name: &str| only.is_empty() || only.iter().any(|row| row == name);
    let plain = generated(work, PLAIN, &[], &[], built)?;
    let mut services = Vec::new();
    for profile in profiles::all() {
        if profile.name == "custom" || !wanted(&profile.name) {
            continue;
        }
        let service = match &profile.options {
            Some(_) if profile.name == default.name => default.clone(),
            Some(_) if profile.name == plain.name => plain.clone(),
            Some(options) if making.one_build => {
                plain.named(&profile.name).with_options(options)?
            }
            _ => generated(work, &profile.name, &[], &[], built)?,
        };
        services.push(service.clone().unbounded());
        if profile.name == "system" {
            let idle = generated(work, &profile.name, &[], &["idle"], built)?;
            services.push(idle.unbounded());
            let mut arenas = service.named("system + 2 arenas");
            arenas.peer = true;
            services.push(arenas.unbounded().with("MALLOC_ARENA_MAX", "2"));
        }
    }
    for name in ["loco new", "loco new + mimalloc"] {
        if wanted(name) {
            services.push(stock(work, name, built)?);
        }
    }
    services.push(default.named(AS_GENERATED));
    services.retain(|service| wanted(&service.name));
    Ok(services)
}

/// What the metrics and heap profiling add: the service with it, and the one without. With and
/// without the metrics it is the same binary, since two differ by some per cent for the order of
/// their code alone.
///
/// # Errors
///
/// When a service cannot be made or built.
pub fn switches(making: &Making<'_>, default: &Service) -> Result<[[Service; 2]; 2]> {
    let Making { work, built, .. } = *making;
    let answers = [("heap_profiling", "true")];
    let profiling = generated(work, &default.name, &answers, &[], built)?;
    Ok([
        [
            default.named("memory_metrics"),
            default.clone().with("MEMORY_ADMIN_BIND", ""),
        ],
        [profiling.named("heap_profiling"), default.clone()],
    ])
}

fn generated(
    work: &Path,
    profile: &str,
    answers: &[(&str, &str)],
    features: &[&str],
    built: bool,
) -> Result<Service> {
    let answered = answers.iter().map(|(question, _)| *question);
    let name = answered
        .chain(features.iter().copied())
        .fold(profile.to_string(), |name, more| format!("{name} + {more}"));
    let directory = work.join(name.replace(" + ", "-"));
    let answers = [&[("memory_profile", profile)], answers].concat();
    loaded::generated(&directory, &answers, features, built)?;
    loaded::configure(&directory, "unbounded", |config| {
        config.replace(
            "requests:\n    enable: true",
            "requests:\n    enable: false",
        )
    })?;
    Ok(Service {
        directory,
        name,
        peer: false,
        env: Vec::new(),
    })
}

fn stock(work: &Path, name: &str, built: bool) -> Result<Service> {
    let directory = work.join(name.replace(" + ", "-").replace(' ', "-"));
    loaded::stock(&directory, name.contains("mimalloc"), built)?;
    Ok(Service {
        name: name.to_string(),
        peer: true,
        directory,
        env: Vec::new(),
    })
}
