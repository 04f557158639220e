//! Renders the default service of each starter, to compare what two commits of the template generate:
//! `cargo run --manifest-path tests/Cargo.toml --bin gallery -- DIRECTORY`.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result};
use template_tests::Answers;

const STARTERS: [&str; 4] = ["rest-api", "saas-server", "saas-client", "lightweight"];

fn main() -> Result<()> {
    let directory = env::args().nth(1).context("name a directory")?;
    let directory = PathBuf::from(directory);
    fs::create_dir_all(&directory)?;
    for starter in STARTERS {
        let answers = Answers::new(starter).with("starter", starter);
        println!("{}", answers.render_into(&directory)?.display());
    }
    Ok(())
}
