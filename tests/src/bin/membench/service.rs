//! The services that are compared: generated or stock, with the routes of the load, as release
//! builds.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{bail, ensure, Context, Result};
use template_tests::{profiles, repository, Answers, Rendered, Running};
use walkdir::WalkDir;

const LOAD_ROUTES: &str = include_str!("../../../fixtures/load.rs");

/// A row of the table: a built service, and how it is started.
#[derive(Debug, Clone)]
pub struct Service {
    pub name: String,
    /// What one has without this template.
    pub peer: bool,
    /// Where it was built; the binary stands there too.
    directory: PathBuf,
    env: Vec<(&'static str, &'static str)>,
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
        env.extend(&self.env);
        Running::start(&binary(&self.directory), &self.directory, &env)
            .with_context(|| self.name.clone())
    }

    fn named(&self, name: &str) -> Self {
        Self {
            name: name.to_string(),
            ..self.clone()
        }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }
}

fn binary(directory: &Path) -> PathBuf {
    directory.join("service")
}

/// Every row: the profiles without the bound on requests in flight, the default profile as it is
/// generated, and the peers. With `built`, the binaries of an earlier run are used.
///
/// # Errors
///
/// When a service cannot be made or built.
pub fn all(work: &Path, built: bool) -> Result<Vec<Service>> {
    let mut services = Vec::new();
    let mut bounded = None;
    for profile in profiles::all() {
        if profile.name == "custom" {
            continue;
        }
        let service = generated(work, &profile.name, built)?;
        services.push(
            service
                .clone()
                .with("LOCO_CONFIG_FOLDER", "config-unbounded"),
        );
        bounded.get_or_insert_with(|| service.named(&format!("{}, bounded", profile.name)));
        if profile.name == "system" {
            let mut arenas = service.named("system, 2 arenas");
            arenas.peer = true;
            services.push(
                arenas
                    .with("LOCO_CONFIG_FOLDER", "config-unbounded")
                    .with("MALLOC_ARENA_MAX", "2"),
            );
        }
    }
    services.push(stock(work, "loco new", built)?);
    services.push(stock(work, "loco new, mimalloc", built)?);
    services.extend(bounded);
    Ok(services)
}

fn generated(work: &Path, profile: &str, built: bool) -> Result<Service> {
    let service = Service {
        name: profile.to_string(),
        peer: false,
        directory: work.join(profile),
        env: Vec::new(),
    };
    if built && binary(&service.directory).exists() {
        return Ok(service);
    }
    println!("building {profile}");
    // Elsewhere first: below tests/ it would become a member of the tests' workspace.
    let rendered = Answers::new("svc")
        .with("memory_profile", profile)
        .render()?;
    copy(rendered.root(), &service.directory)?;
    add_load_routes(&service.directory)?;

    let config = fs::read_to_string(service.directory.join("config/development.yaml"))?;
    let unbounded = config.replace(
        "requests:\n    enable: true",
        "requests:\n    enable: false",
    );
    ensure!(unbounded != config, "the bound cannot be switched off");
    let folder = service.directory.join("config-unbounded");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("development.yaml"), unbounded)?;

    build(&service.directory, "svc-cli")?;
    Ok(service)
}

fn stock(work: &Path, name: &str, built: bool) -> Result<Service> {
    let service = Service {
        name: name.to_string(),
        peer: true,
        directory: work.join(name.replace(", ", "-").replace(' ', "-")),
        env: Vec::new(),
    };
    if built && binary(&service.directory).exists() {
        return Ok(service);
    }
    println!("building {name}");
    let elsewhere = tempfile::tempdir()?;
    let output = Command::new("loco")
        .args(["new", "--name", "stock", "--db", "sqlite", "--bg", "async"])
        .args(["--assets", "none", "--path"])
        .arg(elsewhere.path())
        .output()?;
    if !output.status.success() {
        bail!("loco new: {}", String::from_utf8_lossy(&output.stderr));
    }
    copy(&elsewhere.path().join("stock"), &service.directory)?;
    add_load_routes(&service.directory)?;
    // The same versions, built in the same way: the allocator is to make the difference.
    fs::copy(
        repository().join("template/Cargo.lock"),
        service.directory.join("Cargo.lock"),
    )?;
    change(&service.directory.join("Cargo.toml"), |text| {
        format!(
            "{text}\n[profile.release]\ncodegen-units = 1\nlto = \"thin\"\nstrip = \"symbols\"\n"
        )
    })?;
    if name.contains("mimalloc") {
        change(&service.directory.join("Cargo.toml"), |text| {
            text.replacen("[dependencies]", "[dependencies]\nmimalloc = \"0.1\"", 1)
        })?;
        change(&service.directory.join("src/bin/main.rs"), |text| {
            text.replacen(
                "#[tokio::main]",
                "#[global_allocator]\nstatic ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;\n\n\
                 #[tokio::main]",
                1,
            )
        })?;
    }
    build(&service.directory, "stock-cli")?;
    Ok(service)
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
    fs::copy(
        template_tests::target_dir().join("release").join(name),
        binary(directory),
    )?;
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
