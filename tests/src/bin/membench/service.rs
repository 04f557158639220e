//! The services that are compared: generated or stock, with the routes of the load, as release
//! builds.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{ensure, Context, Result};
use template_tests::{profiles, repository, stock, Answers, Rendered, Running};
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

fn binary(directory: &Path) -> PathBuf {
    directory.join("service")
}

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
    generated(making.work, &profiles::all()[0].name, &[], making.built)
}

/// Every row: the profiles without the bound on requests in flight, the peers, and the default
/// service.
///
/// # Errors
///
/// When a service cannot be made or built.
pub fn all(making: &Making<'_>, default: &Service) -> Result<Vec<Service>> {
    let Making {
        work, built, only, ..
    } = *making;
    let wanted = |name: &str| only.is_empty() || only.iter().any(|row| row == name);
    let plain = generated(work, PLAIN, &[], built)?;
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
            _ => generated(work, &profile.name, &[], built)?,
        };
        services.push(service.clone().unbounded());
        if profile.name == "system" {
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
    services.push(default.named(&format!("{} + bound", default.name)));
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
    let profiling = generated(work, &default.name, &[("heap_profiling", "true")], built)?;
    Ok([
        [
            default.named("memory_metrics"),
            default.clone().with("MEMORY_ADMIN_BIND", ""),
        ],
        [profiling.named("heap_profiling"), default.clone()],
    ])
}

fn generated(work: &Path, profile: &str, answers: &[(&str, &str)], built: bool) -> Result<Service> {
    let name = answers
        .iter()
        .fold(profile.to_string(), |name, (question, answer)| {
            format!("{name}-{question}-{answer}")
        });
    let service = Service {
        directory: work.join(&name),
        name,
        peer: false,
        env: Vec::new(),
    };
    if built && binary(&service.directory).exists() {
        return Ok(service);
    }
    println!("building {}", service.name);
    // Elsewhere first: below tests/ it would become a member of the tests' workspace.
    let rendered = answers
        .iter()
        .fold(
            Answers::new("svc").with("memory_profile", profile),
            |all, (question, answer)| all.with(question, answer),
        )
        .render()?;
    copy(rendered.root(), &service.directory)?;
    if profile == "system" {
        share_dependencies(&service.directory)?;
    }
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
        directory: work.join(name.replace(" + ", "-").replace(' ', "-")),
        env: Vec::new(),
    };
    if built && binary(&service.directory).exists() {
        return Ok(service);
    }
    println!("building {name}");
    let elsewhere = tempfile::tempdir()?;
    let made = stock::generate("rest-api", "stock", elsewhere.path())?;
    copy(&made, &service.directory)?;
    share_dependencies(&service.directory)?;
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
