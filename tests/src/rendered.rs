use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::SystemTime,
};

use anyhow::{anyhow, Context, Result};
use cargo_generate::{GenerateArgs, TemplatePath, Vcs};
use tempfile::TempDir;
use walkdir::WalkDir;

use crate::{repository, Running};

/// One build at a time: two would wait for each other and compile the same crates twice. Holds the
/// root of the service that was built last.
static BUILDS: Mutex<Option<PathBuf>> = Mutex::new(None);

/// A user's answers to the prompts. Prompts without an answer keep their defaults.
#[derive(Debug, Clone)]
pub struct Answers {
    name: String,
    values: Vec<(String, String)>,
}

impl Answers {
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_string(),
            values: Vec::new(),
        }
    }

    /// The same answers under another project name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_string();
        self
    }

    #[must_use]
    pub fn with(mut self, prompt: &str, value: &str) -> Self {
        self.values.push((prompt.to_string(), value.to_string()));
        self
    }

    #[must_use]
    pub fn get(&self, prompt: &str) -> Option<&str> {
        self.values
            .iter()
            .find_map(|(name, value)| (name == prompt).then_some(value.as_str()))
    }

    /// All answers, each with the name of its prompt.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Renders into a fresh directory.
    ///
    /// # Errors
    ///
    /// If cargo-generate refuses the answers.
    pub fn render(&self) -> Result<Rendered> {
        let directory = tempfile::tempdir()?;
        let root = self.render_into(directory.path())?;
        Ok(Rendered::within(directory, root))
    }

    /// Renders into a new folder in `destination`, and returns its path.
    ///
    /// # Errors
    ///
    /// If cargo-generate refuses the answers.
    pub fn render_into(&self, destination: &Path) -> Result<PathBuf> {
        self.render_from(template(), destination)
    }

    /// As `render_into`, from another copy of the template.
    ///
    /// # Errors
    ///
    /// If cargo-generate refuses the answers.
    pub fn render_from(&self, template: &Path, destination: &Path) -> Result<PathBuf> {
        cargo_generate::generate(GenerateArgs {
            template_path: TemplatePath {
                path: Some(template.display().to_string()),
                ..TemplatePath::default()
            },
            name: Some(self.name.clone()),
            destination: Some(destination.to_path_buf()),
            define: self
                .values
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            silent: true,
            vcs: Some(Vcs::None),
            ..GenerateArgs::default()
        })
    }
}

/// The template without `tests/`, whose build directory cargo-generate would copy each time.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let copy = scratch().join(format!("{}", std::process::id()));
        // Left by an earlier process with the same PID.
        drop(fs::remove_dir_all(&copy));
        copy_template(&copy)
    })
}

/// Copies the parts of the repository that cargo-generate needs.
///
/// # Panics
///
/// If a file cannot be copied.
#[must_use]
pub fn copy_template(to: &Path) -> PathBuf {
    let root = repository();
    for part in ["cargo-generate.toml", "README.md", "hooks", "template"] {
        let left_by_cargo = ["template/memory/Cargo.lock", "template/memory/target"];
        let entries = WalkDir::new(root.join(part))
            .into_iter()
            .filter_entry(|entry| {
                !left_by_cargo
                    .iter()
                    .any(|path| entry.path().ends_with(path))
            });
        for entry in entries {
            let entry = entry.expect("the template can be read");
            let path = to.join(entry.path().strip_prefix(&root).expect("below the root"));
            if entry.file_type().is_dir() {
                fs::create_dir_all(path).expect("a directory");
            } else {
                fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
                fs::copy(entry.path(), path).expect("a copy");
            }
        }
    }
    to.to_path_buf()
}

/// Where services are built. Kept between runs, so that each dependency is compiled only once.
fn scratch() -> PathBuf {
    repository().join("tests/target/services")
}

/// A generated service.
#[derive(Debug)]
pub struct Rendered {
    root: PathBuf,
    _directory: Option<TempDir>,
}

impl Rendered {
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self {
            root,
            _directory: None,
        }
    }

    /// A service that is deleted together with the temporary directory around it.
    #[must_use]
    pub fn within(directory: TempDir, root: PathBuf) -> Self {
        Self {
            root,
            _directory: Some(directory),
        }
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Every file, relative to the root, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = WalkDir::new(&self.root)
            .into_iter()
            .filter_map(std::result::Result::ok)
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| {
                entry
                    .path()
                    .strip_prefix(&self.root)
                    .expect("below the root")
                    .to_path_buf()
            })
            .collect();
        files.sort();
        files
    }

    /// A file's text.
    ///
    /// # Panics
    ///
    /// If the file is missing.
    #[must_use]
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        let path = self.root.join(path);
        fs::read_to_string(&path)
            .with_context(|| path.display().to_string())
            .expect("a text file")
    }

    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// `cargo` in the service's directory, with the build directory that all services share.
    #[must_use]
    pub fn cargo(&self, args: &[&str]) -> Command {
        let mut command = self.command("cargo");
        command.args(args);
        command
    }

    /// A program in the service's directory, which builds into the directory that all services
    /// share.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", target_dir())
            // Each service has its own path, so nothing in it is ever compiled again.
            .env("CARGO_INCREMENTAL", "0")
            // Faster, and half the disk space.
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            // Set for these tests, not for those of the service.
            .env_remove("TEST_DATABASE_URL")
            .env_remove("TEST_REDIS_URL");
        // Set by cargo for these tests, and wrong for the service.
        for (name, _) in std::env::vars() {
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs `cargo`, one service at a time, and returns its output.
    ///
    /// # Errors
    ///
    /// If the command fails; the error has its output.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        self.run_with(args, &[])
    }

    /// As `run`, with additional environment variables.
    ///
    /// # Errors
    ///
    /// If the command fails; the error has its output.
    pub fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Result<String> {
        let output = self.output(args, env)?;
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        if output.status.success() {
            Ok(text)
        } else {
            Err(anyhow!("cargo {}:\n{text}", args.join(" ")))
        }
    }

    /// Builds the service's binary and copies it into the service's directory, where no other build
    /// replaces it.
    ///
    /// # Errors
    ///
    /// If the build fails; the error has the output of cargo.
    pub fn build(&self) -> Result<PathBuf> {
        let _turn = self.wait_for_turn()?;
        let output = self.cargo(&["build"]).output()?;
        if !output.status.success() {
            return Err(anyhow!("{}", String::from_utf8_lossy(&output.stderr)));
        }
        let name = format!("svc-cli{}", std::env::consts::EXE_SUFFIX);
        let binary = self.root.join(&name);
        fs::copy(target_dir().join("debug").join(&name), &binary)?;
        Ok(binary)
    }

    /// Starts the service.
    ///
    /// # Errors
    ///
    /// If it does not respond; the error has its log.
    pub fn start(&self, binary: &Path, env: &[(&str, &str)]) -> Result<Running> {
        Running::start(binary, &self.root, env)
    }

    /// Waits for this service's turn to build. To cargo, services with the same name in one build
    /// directory are the same package, and only newer modification times show that this is not the
    /// one built last.
    fn wait_for_turn(&self) -> Result<MutexGuard<'static, Option<PathBuf>>> {
        let mut last = BUILDS.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(&self.root) {
            let files = self.files().into_iter();
            for source in files.filter(|file| file.extension() == Some(OsStr::new("rs"))) {
                File::options()
                    .append(true)
                    .open(self.root.join(source))?
                    .set_modified(SystemTime::now())?;
            }
            *last = Some(self.root.clone());
        }
        Ok(last)
    }

    fn output(&self, args: &[&str], env: &[(&str, &str)]) -> Result<Output> {
        let _turn = self.wait_for_turn()?;
        let mut command = self.cargo(args);
        command.envs(env.iter().copied());
        Ok(command.output()?)
    }
}

/// The build directory that all services share.
#[must_use]
pub fn target_dir() -> PathBuf {
    scratch().join("target")
}
