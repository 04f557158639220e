//! Writes `template/Cargo.lock` anew: the newest versions that all services can have, without the
//! services' own packages.

use std::{collections::HashSet, fs, process::Command};

use anyhow::{ensure, Result};
use template_tests::{distinct_combinations, repository, Sources};

fn main() -> Result<()> {
    // One workspace with a member for each manifest: Cargo then resolves them together.
    let workspace = tempfile::tempdir()?;
    let mut members = Vec::new();
    let mut manifests = HashSet::new();
    let services = Sources::of_each(&distinct_combinations());
    for (index, service) in services.iter().enumerate() {
        if !manifests.insert(service.read("Cargo.toml")) {
            continue;
        }
        let name = format!("svc-{index}");
        let answers = service.answers.clone().named(&name);
        let service = answers.render_into(workspace.path())?;
        let manifest = fs::read_to_string(service.join("Cargo.toml"))?.replace("[workspace]\n", "");
        let (packages, _profiles) = manifest.split_once("[profile").unwrap_or((&manifest, ""));
        fs::write(service.join("Cargo.toml"), packages)?;
        members.push(format!("\"{name}\""));
    }
    fs::write(
        workspace.path().join("Cargo.toml"),
        format!(
            "[workspace]\nresolver = \"2\"\nmembers = [{}]\n",
            members.join(", ")
        ),
    )?;
    let status = Command::new("cargo")
        .arg("generate-lockfile")
        .current_dir(workspace.path())
        .env("CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS", "fallback")
        .status()?;
    ensure!(
        status.success(),
        "cargo cannot resolve the services together"
    );

    let lock = fs::read_to_string(workspace.path().join("Cargo.lock"))?;
    let tested: Vec<&str> = lock
        .split("\n[[package]]\n")
        .enumerate()
        .filter(|(index, package)| *index == 0 || package.contains("\nsource = "))
        .map(|(_, package)| package)
        .collect();
    let path = repository().join("template/Cargo.lock");
    fs::write(&path, tested.join("\n[[package]]\n"))?;
    println!("{} packages in {}", tested.len() - 1, path.display());
    Ok(())
}
