//! The service that `loco new` generates, for comparison.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use anyhow::{anyhow, ensure, Result};
use loco::{
    generator::{executer::FileSystem, extract_default_template, Generator},
    settings::Settings,
    wizard::{AssetsOption, BackgroundOption, DBOption, Selections},
    OS,
};

/// Generates Loco's own service for a starter, on SQLite if it has a database, into a new folder in
/// `destination`, and returns its path.
///
/// # Errors
///
/// If Loco's generator fails.
pub fn generate(starter: &str, name: &str, destination: &Path) -> Result<PathBuf> {
    let selections = Selections {
        db: match starter {
            "lightweight" => DBOption::None,
            _ => DBOption::Sqlite,
        },
        background: BackgroundOption::Async,
        asset: match starter {
            "saas-server" => AssetsOption::Serverside,
            "saas-client" => AssetsOption::Clientside,
            _ => AssetsOption::None,
        },
    };
    let root = destination.join(name);
    fs::create_dir_all(&root)?;
    let template = extract_default_template()?;
    let executer = FileSystem::new(&template.root, &root);
    let settings = Settings::from_wizard(name, &selections, OS::default());
    Generator::new(Arc::new(executer), settings)
        .run()
        .map_err(|err| anyhow!("loco new: {err}"))?;
    let formatted = Command::new("cargo")
        .arg("fmt")
        .current_dir(&root)
        .status()?;
    ensure!(formatted.success(), "cargo fmt fails on the stock service");
    Ok(root)
}
