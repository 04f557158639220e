//! The tests' own vocabulary: a set of answers ([`Answers`]) is rendered into a service
//! ([`Rendered`]), which is built and run ([`Running`]), and used as a person does ([`Browser`]).

pub mod benchmark;
mod browser;
pub mod dockerfile;
pub mod loaded;
pub mod machine;
mod mailbox;
pub mod needs;
pub mod options;
pub mod postgres;
pub mod profiles;
pub mod redis;
mod rendered;
mod running;
#[cfg(unix)]
pub mod siege;
mod sources;
pub mod stock;

pub use browser::Browser;
pub use mailbox::{link_in, Mailbox};
pub use rendered::{copy_template, target_dir, Answers, Rendered};
#[cfg(unix)]
pub use running::send_signal;
pub use running::{ended_within, Running};
pub use sources::Sources;

use std::path::{Path, PathBuf};

/// How strictly a service is linted: as Loco's own workflow does, and more.
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

/// A `JWT_SECRET` with which production starts.
pub const JWT_SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v";

/// The template's repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ stands in the repository")
        .to_path_buf()
}

/// Every set of answers that the prompts allow; `custom` has one option string for all.
#[must_use]
pub fn every_combination() -> Vec<Answers> {
    every_service().iter().flat_map(with_every_memory).collect()
}

/// Sets of answers between which every file is as in any other set. What is answered about memory
/// meets the other answers in a few files alone, and there by three of its kinds: a profile that is
/// more than options, one that is not, and none.
#[must_use]
pub fn distinct_combinations() -> Vec<Answers> {
    let services = every_service();
    let kinds = services.iter().flat_map(|service| {
        let [lean, other, system] = [service; 3].map(Clone::clone);
        [
            lean.with("memory_profile", "lean"),
            other
                .with("memory_profile", "balanced")
                .with("memory_metrics", "false")
                .with("heap_profiling", "true"),
            system.with("memory_profile", "system"),
        ]
    });
    let (lightweight, rest_api) = (&services[0], &services[1]);
    kinds
        .chain(with_every_memory(lightweight))
        .chain(with_every_memory(rest_api))
        .collect()
}

/// Every set of answers but for those about memory: first a lightweight service, then a REST API.
fn every_service() -> Vec<Answers> {
    let mut services = vec![Answers::new("svc").with("starter", "lightweight")];
    for starter in ["rest-api", "saas-server", "saas-client"] {
        let service = Answers::new("svc").with("starter", starter);
        let services_of_starter = if starter == "rest-api" {
            vec![service]
        } else {
            each(&[service], "embedded_assets", &["false", "true"])
        };
        let on_database = each(&services_of_starter, "database", &["sqlite", "postgres"]);
        services.extend(each(
            &on_database,
            "background",
            &["async", "blocking", "redis", "postgres", "sqlite"],
        ));
    }
    services
}

/// The service with each set of answers about memory.
fn with_every_memory(service: &Answers) -> Vec<Answers> {
    let service = std::slice::from_ref(service);
    profiles::all()
        .iter()
        .flat_map(|profile| {
            let services = each(service, "memory_profile", &[&profile.name]);
            let services = match profile.name.as_str() {
                "system" => return services,
                "custom" => each(&services, "malloc_conf", &["dirty_decay_ms:700"]),
                _ => services,
            };
            let services = each(&services, "memory_metrics", &["true", "false"]);
            each(&services, "heap_profiling", &["false", "true"])
        })
        .collect()
}

/// Each set of answers with each value of one more question.
fn each(answers: &[Answers], question: &str, values: &[&str]) -> Vec<Answers> {
    answers
        .iter()
        .flat_map(|answers| {
            values
                .iter()
                .map(|value| answers.clone().with(question, value))
        })
        .collect()
}
