//! The tests' own vocabulary: a set of answers ([`Answers`]) is rendered into a service
//! ([`Rendered`]), which is built and run ([`Running`]).

pub mod profiles;
mod rendered;
mod running;

pub use rendered::{copy_template, target_dir, Answers, Rendered};
pub use running::Running;

use std::path::{Path, PathBuf};

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
    let mut combinations = Vec::new();
    for profile in profiles::all() {
        let memory = |answers: Answers| match profile.name.as_str() {
            "custom" => answers
                .with("memory_profile", "custom")
                .with("malloc_conf", "dirty_decay_ms:700"),
            name => answers.with("memory_profile", name),
        };
        combinations.push(memory(Answers::new("svc").with("starter", "lightweight")));
        for database in ["sqlite", "postgres"] {
            for background in ["async", "blocking"] {
                combinations.push(memory(
                    Answers::new("svc")
                        .with("starter", "rest-api")
                        .with("database", database)
                        .with("background", background),
                ));
            }
        }
    }
    combinations
}
