//! The profile table, read from `hooks/profiles.rhai` itself.

use rhai::{Array, Engine, Map};

use crate::repository;

#[derive(Debug, Clone)]
pub struct Profile {
    pub name: String,
    /// jemalloc's option string; `None` if the table has none for the profile.
    pub options: Option<String>,
    pub meaning: String,
}

/// All profiles, in the order of the table.
#[must_use]
pub fn all() -> Vec<Profile> {
    let engine = Engine::new();
    let table = engine
        .compile_file(repository().join("hooks/profiles.rhai"))
        .expect("the table compiles");
    let profiles: Array = engine
        .call_fn(&mut rhai::Scope::new(), &table, "all", ())
        .expect("the table has a function `all`");
    profiles
        .into_iter()
        .map(|profile| {
            let profile: Map = profile.cast();
            let text = |key: &str| profile.get(key).map(|value| value.to_string());
            Profile {
                name: text("name").expect("a name"),
                options: text("options"),
                meaning: text("meaning").expect("a meaning"),
            }
        })
        .collect()
}
