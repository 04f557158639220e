//! Services with the routes of `fixtures/load.rs`, as release builds: for the benchmark and the siege.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{ensure, Context, Result};
use walkdir::WalkDir;

use crate::{stock, target_dir, Answers, Rendered};

const LOAD_ROUTES: &str = include_str!("../fixtures/load.rs");

/// The binary of a service that was built in this directory.
#[must_use]
pub fn binary(directory: &Path) -> PathBuf {
    directory.join("service")
}

/// Generates and builds a service with these answers, and these further features of its crate
/// `memory`, into a directory, unless `built` says that an earlier run has.
///
/// # Errors
///
/// When it cannot be generated or built.
pub fn generated(
    directory: &Path,
    answers: &[(&str, &str)],
    features: &[&str],
    built: bool,
) -> Result<()> {
    if built && binary(directory).exists() {
        return Ok(());
    }
    println!("building {}", directory.display());
    // Elsewhere first: below tests/ it would become a member of the tests' workspace.
    let rendered = answers
        .iter()
        .fold(Answers::new("svc"), |all, (question, answer)| {
            all.with(question, answer)
        })
        .render()?;
    copy(rendered.root(), directory)?;
    if answers.contains(&("memory_profile", "system")) {
        share_dependencies(directory)?;
    }
    if !features.is_empty() {
        change(&directory.join("Cargo.toml"), |text| {
            let more = format!("features = [\"{}\", ", features.join("\", \""));
            let memory = |line: &str| line.starts_with("memory = ");
            text.lines()
                .map(|line| match memory(line) {
                    true => line.replace("features = [", &more) + "\n",
                    false => format!("{line}\n"),
                })
                .collect()
        })?;
    }
    add_load_routes(directory)?;
    build(directory, "svc-cli")
}

/// The same with Loco's own rest-api, as `loco new` makes it.
///
/// # Errors
///
/// When it cannot be generated or built.
pub fn stock(directory: &Path, with_mimalloc: bool, built: bool) -> Result<()> {
    if built && binary(directory).exists() {
        return Ok(());
    }
    println!("building {}", directory.display());
    let elsewhere = tempfile::tempdir()?;
    let made = stock::generate("rest-api", "stock", elsewhere.path())?;
    copy(&made, directory)?;
    share_dependencies(directory)?;
    add_load_routes(directory)?;
    // The same versions, built in the same way: what is compared is to make the difference.
    let lock = Answers::new("stock").render()?.read("Cargo.lock");
    fs::write(directory.join("Cargo.lock"), lock)?;
    change(&directory.join("Cargo.toml"), |text| {
        format!(
            "{text}\n[profile.release]\ncodegen-units = 1\nlto = \"thin\"\nstrip = \"symbols\"\n"
        )
    })?;
    if with_mimalloc {
        change(&directory.join("Cargo.toml"), |text| {
            text.replacen("[dependencies]", "[dependencies]\nmimalloc = \"0.1\"", 1)
        })?;
        change(&directory.join("src/bin/main.rs"), |text| {
            text.replacen(
                "#[tokio::main]",
                "#[global_allocator]\nstatic ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;\n\n\
                 #[tokio::main]",
                1,
            )
        })?;
    }
    build(directory, "stock-cli")
}

/// Writes `config-NAME/development.yaml`: that of the service, changed.
///
/// # Errors
///
/// When there is nothing to change.
pub fn configure(directory: &Path, name: &str, by: impl Fn(&str) -> String) -> Result<()> {
    let folder = directory.join(format!("config-{name}"));
    fs::create_dir_all(&folder)?;
    let file = folder.join("development.yaml");
    fs::copy(directory.join("config/development.yaml"), &file)?;
    change(&file, by)
}

/// jemalloc's crates switch on a feature of libc. With it here too, the other dependencies need
/// not be compiled a second time.
fn share_dependencies(directory: &Path) -> Result<()> {
    change(&directory.join("Cargo.toml"), |text| {
        text.replacen(
            "[dependencies]",
            "[dependencies]\nlibc = { version = \"0.2\", features = [\"use_std\"] }",
            1,
        )
    })
}

fn add_load_routes(directory: &Path) -> Result<()> {
    let controllers = directory.join("src/controllers");
    fs::write(controllers.join("load.rs"), LOAD_ROUTES)?;
    change(&controllers.join("mod.rs"), |text| {
        format!("{text}\npub mod load;\n")
    })?;
    change(&directory.join("src/app.rs"), |text| {
        text.replacen(
            ".add_route(",
            ".add_route(controllers::load::routes())\n            .add_route(",
            1,
        )
    })
}

/// Changes a file, which must have what is changed.
fn change(path: &Path, by: impl Fn(&str) -> String) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let changed = by(&text);
    ensure!(changed != text, "{} is not as expected", path.display());
    Ok(fs::write(path, changed)?)
}

fn build(directory: &Path, name: &str) -> Result<()> {
    let service = Rendered::at(directory.to_path_buf());
    let status = service.cargo(&["build", "--release"]).status()?;
    ensure!(status.success(), "{} does not build", directory.display());
    fs::copy(target_dir().join("release").join(name), binary(directory))?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    for entry in WalkDir::new(from) {
        let entry = entry?;
        let path = to.join(entry.path().strip_prefix(from)?);
        if entry.file_type().is_dir() {
            fs::create_dir_all(path)?;
        } else {
            fs::copy(entry.path(), path)?;
        }
    }
    Ok(())
}
