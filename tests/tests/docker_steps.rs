//! Slow tier: the steps of the generated Dockerfile without a Docker engine, in directories instead
//! of stages, and in the debug profile. Requires `cargo-chef` in PATH: without it, these tests are
//! skipped with a notice, and fail in CI.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::Result;
use tempfile::TempDir;
use template_tests::{
    dockerfile::{is_ignored, stages, Copy, Stage},
    needs, target_dir, Answers, Rendered, Running, JWT_SECRET,
};

/// The directories of an image that is built step by step.
struct Image {
    context: Rendered,
    stages: BTreeMap<String, TempDir>,
}

/// A service with a profile other than the default.
fn service() -> Rendered {
    Answers::new("svc")
        .with("memory_profile", "balanced")
        .render()
        .expect("the answers render")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
    fs::copy(from, to).unwrap_or_else(|err| panic!("{}: {err}", from.display()));
}

impl Image {
    /// Copies the build context as Docker does, without what `.dockerignore` excludes.
    fn new(service: &Rendered) -> Self {
        let dockerignore = service.read(".dockerignore");
        let directory = tempfile::tempdir().expect("a directory");
        for file in service.files() {
            if !is_ignored(&dockerignore, &file) {
                copy(&service.root().join(&file), &directory.path().join(&file));
            }
        }
        let root = directory.path().to_path_buf();
        Self {
            context: Rendered::within(directory, root),
            stages: BTreeMap::new(),
        }
    }

    /// Builds the stages up to `target`.
    fn build(&mut self, dockerfile: &[Stage], target: &str) -> Result<()> {
        for stage in dockerfile {
            let name = stage.name.as_deref().unwrap_or("image");
            let directory = tempfile::tempdir()?;
            for (keyword, arguments) in &stage.instructions {
                match keyword.as_str() {
                    "COPY" => self.copy(arguments, directory.path()),
                    // Skips installing tools, and what only root can do.
                    "RUN"
                        if ["cargo chef", "cargo build"]
                            .iter()
                            .any(|command| arguments.starts_with(command)) =>
                    {
                        Self::run(arguments, directory.path())?;
                    }
                    _ => {}
                }
            }
            self.stages.insert(name.to_string(), directory);
            if name == target {
                return Ok(());
            }
        }
        panic!("the Dockerfile has no stage {target}")
    }

    fn copy(&self, arguments: &str, to: &Path) {
        let copy_of = Copy::parse(arguments);
        for source in &copy_of.sources {
            let source = match &copy_of.from {
                // Part of the base image.
                Some(_) if source.starts_with("/etc/") => continue,
                Some(_) if source == "/usr/src/target/release/svc-cli" => {
                    target_dir().join("debug/svc-cli")
                }
                Some(stage) => {
                    let inside = source.strip_prefix("/usr/src/").expect("its WORKDIR");
                    self.stages[stage].path().join(inside)
                }
                None => self.context.root().join(source),
            };
            let to = match copy_of.destination.as_str() {
                "." => to.to_path_buf(),
                destination => to.join(destination),
            };
            if source.is_dir() {
                for file in Rendered::at(source.clone()).files() {
                    copy(&source.join(&file), &to.join(&file));
                }
            } else if to.is_dir() {
                copy(&source, &to.join(source.file_name().expect("a name")));
            } else {
                copy(&source, &to);
            }
        }
    }

    fn run(command: &str, directory: &Path) -> Result<()> {
        let command = command.replace(" --release", "");
        let args: Vec<&str> = command.split_whitespace().skip(1).collect();
        Rendered::at(directory.to_path_buf()).run(&args).map(drop)
    }

    fn path(&self, stage: &str) -> &Path {
        self.stages[stage].path()
    }

    fn recipe(&self) -> String {
        fs::read_to_string(self.path("planner").join("recipe.json")).expect("the recipe")
    }
}

/// The recipe of the service in its current state.
fn recipe(service: &Rendered) -> String {
    let mut image = Image::new(service);
    image
        .build(&stages(&service.read("Dockerfile")), "planner")
        .expect("a recipe");
    image.recipe()
}

fn edit(service: &Rendered, file: &str, from: &str, to: &str) {
    let text = service.read(file);
    assert!(text.contains(from), "{file} has no {from}");
    fs::write(service.root().join(file), text.replace(from, to)).expect("a file");
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn dependencies_are_recompiled_for_another_memory_profile_but_not_for_other_code() {
    if !needs::program("cargo-chef") {
        return;
    }
    let service = service();
    let first = recipe(&service);

    edit(
        &service,
        "src/app.rs",
        "pub struct App;",
        "pub struct App; // changed",
    );
    edit(&service, "config/production.yaml", "info", "warn");
    assert_eq!(recipe(&service), first);

    edit(
        &service,
        ".cargo/config.toml",
        "dirty_decay_ms:500",
        "dirty_decay_ms:400",
    );
    assert_ne!(recipe(&service), first);
}

/// Runs the health check of the image against a port.
fn is_healthy(dockerfile: &[Stage], port: &str) -> bool {
    let check = dockerfile
        .last()
        .and_then(|image| image.all("HEALTHCHECK").next())
        .expect("a health check");
    let (_, command) = check.split_once("CMD ").expect("a command");
    let command: Vec<String> = serde_json::from_str(command).expect("exec form");
    Command::new(&command[0])
        .args(&command[1..])
        .env("PORT", port)
        .output()
        .expect("it runs")
        .status
        .success()
}

fn port(running: &Running) -> String {
    running
        .url("")
        .rsplit(':')
        .next()
        .expect("a port")
        .to_string()
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn an_image_runs_in_production_with_its_memory_profile_and_reports_its_health() {
    if !needs::program("cargo-chef") {
        return;
    }
    let service = service();
    let dockerfile = stages(&service.read("Dockerfile"));
    let mut image = Image::new(&service);
    image.build(&dockerfile, "image").expect("an image");
    let root = image.path("image").to_path_buf();
    fs::create_dir(root.join("data")).expect("the volume");

    let env = [
        ("LOCO_ENV", "production"),
        ("HOST", "http://localhost"),
        ("JWT_SECRET", JWT_SECRET),
        ("MAILER_HOST", "localhost"),
        ("MAILER_USER", "nobody"),
        ("MAILER_PASSWORD", "none"),
        ("MAILER_FROM", "Svc <svc@example.com>"),
        ("DATABASE_URL", "sqlite://data/svc.sqlite?mode=rwc"),
    ];
    let mut running = Running::start(&root.join("svc-cli"), &root, &env).expect("it starts");
    let log = running.log();
    let start = log
        .lines()
        .find(|line| line.contains("\"allocator\""))
        .unwrap_or_else(|| panic!("no line about memory:\n{log}"));
    assert!(start.contains("\"profile\":\"balanced\""), "{start}");
    assert!(!log.contains("not in effect"), "{log}");

    let port = port(&running);
    assert!(is_healthy(&dockerfile, &port));
    drop(running);
    assert!(!is_healthy(&dockerfile, &port));
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn an_image_that_would_lose_the_memory_profile_is_not_built() {
    if !needs::program("cargo-chef") {
        return;
    }
    let service = service();
    let config: toml::Table = toml::from_str(&service.read(".cargo/config.toml")).expect("TOML");
    let options = config["env"]["JEMALLOC_SYS_WITH_MALLOC_CONF"]["value"]
        .as_str()
        .expect("options");
    let ignore = service.root().join(".dockerignore");
    fs::write(&ignore, service.read(".dockerignore") + ".cargo\n").expect("a file");

    let mut image = Image::new(&service);
    image
        .build(&stages(&service.read("Dockerfile")), "planner")
        .expect("a recipe");
    assert!(!image.recipe().contains("MEMORY_PROFILE"));

    // With the options set in the environment, jemalloc is not compiled for this test alone.
    let error = image
        .context
        .run_with(
            &["build", "--locked"],
            &[("JEMALLOC_SYS_WITH_MALLOC_CONF", options)],
        )
        .expect_err("it is not built")
        .to_string();
    assert!(error.contains("the memory profile is missing"), "{error}");
}
