//! What the tests share: a set of answers ([`Answers`]) is rendered into a service ([`Rendered`]),
//! which is built, run ([`Running`]), and used in a browser as a person does ([`Browser`]).

pub mod benchmark;
mod browser;
pub mod collector;
pub mod dockerfile;
pub mod load_target;
pub mod machine;
mod mailbox;
pub mod needs;
pub mod options;
pub mod postgres;
pub mod profiles;
pub mod prometheus;
pub mod redis;
mod rendered;
mod running;
#[cfg(unix)]
pub mod siege;
mod sources;
pub mod stock;
pub mod terminal;

pub use browser::Browser;
pub use mailbox::{link_in, Mailbox};
pub use rendered::{copy_template, target_dir, Answers, Rendered};
#[cfg(unix)]
pub use running::send_signal;
pub use running::{wait_timeout, Running};
pub use sources::Sources;

use std::path::{Path, PathBuf};

/// The lints for a service: those of Loco's own workflow, and stricter ones.
pub const CLIPPY: [&str; 10] = [
    "clippy",
    "--all-targets",
    "--",
    "-D",
    "warnings",
    "-W",
    "clippy::pedantic",
    "-W",
    "clippy::nursery",
    "-Wrust-2018-idioms",
];

/// A `JWT_SECRET` that production accepts.
pub const JWT_SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v";

/// The root of the template's repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ is in the repository")
        .to_path_buf()
}

/// Every set of answers that the prompts allow, with a single option string for `custom`.
#[must_use]
pub fn all_combinations() -> Vec<Answers> {
    let services: Vec<Answers> = service_combinations()
        .iter()
        .flat_map(with_memory_combinations)
        .collect();
    with_each(&services, "openapi", &["false", "true"])
}

/// Sets of answers that between them render every distinct file. The answers about memory and traces interact
/// with the others in only a few files, where only three kinds of profile differ: one that is more
/// than its options, one that is not, and `system`. The description of the API depends on neither these
/// answers nor the queue.
#[must_use]
pub fn distinct_combinations() -> Vec<Answers> {
    let services = service_combinations();
    let kinds = services.iter().flat_map(|service| {
        let [lean, other, system] = [service; 3].map(Clone::clone);
        [
            lean.with("memory_profile", "lean"),
            other
                .with("memory_profile", "balanced")
                .with("memory_metrics", "false")
                .with("heap_profiling", "true")
                .with("traces", "true"),
            system.with("memory_profile", "system"),
        ]
    });
    let described = services
        .iter()
        .filter(|service| matches!(service.get("background"), None | Some("async")))
        .map(|service| {
            let service = service.clone().with("memory_profile", "lean");
            service.with("openapi", "true")
        });
    let (lightweight, rest_api) = (&services[0], &services[1]);
    kinds
        .chain(described)
        .chain(with_each(
            &with_memory_combinations(lightweight),
            "openapi",
            &["false", "true"],
        ))
        .chain(with_memory_combinations(rest_api))
        .collect()
}

/// Every set of answers except those about memory, traces and the description of the API, starting with a
/// lightweight service and a REST API.
fn service_combinations() -> Vec<Answers> {
    let mut services = vec![Answers::new("svc").with("starter", "lightweight")];
    for starter in ["rest-api", "saas-server", "saas-client"] {
        let service = Answers::new("svc").with("starter", starter);
        let with_starter = if starter == "rest-api" {
            vec![service]
        } else {
            with_each(&[service], "embedded_assets", &["false", "true"])
        };
        let with_database = with_each(&with_starter, "database", &["sqlite", "postgres"]);
        services.extend(with_each(
            &with_database,
            "background",
            &["async", "blocking", "redis", "postgres", "sqlite"],
        ));
    }
    services
}

/// The service with every set of answers about memory and traces.
fn with_memory_combinations(service: &Answers) -> Vec<Answers> {
    let service = std::slice::from_ref(service);
    let services: Vec<Answers> = profiles::all()
        .iter()
        .flat_map(|profile| {
            let services = with_each(service, "memory_profile", &[&profile.name]);
            let services = match profile.name.as_str() {
                "system" => return services,
                "custom" => with_each(&services, "malloc_conf", &["dirty_decay_ms:700"]),
                _ => services,
            };
            let services = with_each(&services, "memory_metrics", &["true", "false"]);
            with_each(&services, "heap_profiling", &["false", "true"])
        })
        .collect();
    with_each(&services, "traces", &["false", "true"])
}

/// Every set of answers with every value of one more question.
fn with_each(answers: &[Answers], question: &str, values: &[&str]) -> Vec<Answers> {
    answers
        .iter()
        .flat_map(|answers| {
            values
                .iter()
                .map(|value| answers.clone().with(question, value))
        })
        .collect()
}
