//! jemalloc's options, as accepted by the hook and by a built service.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{repository, Rendered};

/// The names in one of the tables of `hooks/malloc_conf.rhai`.
///
/// # Errors
///
/// If there is no such table.
pub fn accepted_by_hook(table: &str) -> Result<BTreeSet<String>> {
    let hook = fs::read_to_string(repository().join("hooks/malloc_conf.rhai"))?;
    let (_, from) = hook
        .split_once(&format!("const {table} = ["))
        .with_context(|| format!("no {table} in the hook"))?;
    let (names, _) = from.split_once(']').context("the table is not closed")?;
    Ok(quoted(names))
}

/// The names in jemalloc's parser that the service's binary accepts.
///
/// # Errors
///
/// If the sources of jemalloc are not found, or the binary does not run.
pub fn accepted_by_jemalloc(service: &Rendered, binary: &Path) -> Result<BTreeSet<String>> {
    let output = service
        .cargo(&["metadata", "--format-version", "1"])
        .output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let manifest = metadata["packages"]
        .as_array()
        .context("no packages")?
        .iter()
        .find(|package| package["name"] == "tikv-jemalloc-sys")
        .and_then(|package| package["manifest_path"].as_str())
        .context("no jemalloc")?;
    let parser = fs::read_to_string(Path::new(manifest).with_file_name("jemalloc/src/conf.c"))?;
    let mut accepted = BTreeSet::new();
    for name in parser.lines().flat_map(quoted) {
        let output = Command::new(binary)
            .env("MALLOC_CONF", format!("{name}:@"))
            .arg("--version")
            .output()?;
        if !String::from_utf8_lossy(&output.stderr).contains("Invalid conf pair") {
            accepted.insert(name);
        }
    }
    Ok(accepted)
}

/// The quoted strings that could be the name of an option.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('"')
        .skip(1)
        .step_by(2)
        .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .map(String::from)
        .collect()
}
