//! Slow tier: a service that `loco new` made takes the memory crate, by nothing but what `--init`
//! prints.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use tempfile::TempDir;
use template_tests::{copy_template, stock, Rendered, Running};

const LINES_AT_MOST: usize = 15;

/// A stock service, and a copy of the template beside it.
struct Existing {
    directory: TempDir,
    service: Rendered,
    before: BTreeSet<String>,
}

impl Existing {
    fn new(starter: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        drop(copy_template(&directory.path().join("template")));
        let service = stock::generate(starter, "svc", directory.path()).expect("a stock service");
        let service = Rendered::at(service);
        let before = names(&service);
        Self {
            directory,
            service,
            before,
        }
    }

    /// What `cargo generate --init` prints, or why it refuses.
    fn init(&self, answers: &[&str]) -> Result<String, String> {
        let output = Command::new(env!("CARGO_BIN_EXE_generate"))
            .args(["generate", "--init", "--name", "svc", "--silent", "--path"])
            .arg(self.directory.path().join("template"))
            .args(answers)
            .current_dir(self.service.root())
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(text)
        } else {
            Err(text + &*String::from_utf8_lossy(&output.stderr))
        }
    }

    fn edit(&self, file: &str, edit: impl FnOnce(String) -> String) {
        let text = edit(self.service.read(file));
        fs::write(self.service.root().join(file), text).expect("a file");
    }

    /// Does what the instructions say, as a person does who reads them.
    fn paste(&self, instructions: &str) -> usize {
        let lightweight = !self.service.has("migration");
        let mut lines = 0;
        for (heading, pasted) in sections(instructions) {
            if !heading.starts_with(".cargo/config.toml") {
                lines += pasted
                    .lines()
                    .filter(|line| !line.trim().is_empty())
                    .count();
            }
            match heading.split([',', ' ']).next() {
                Some("Cargo.toml") => self.edit("Cargo.toml", |text| {
                    let pasted = if lightweight {
                        pasted.replace("\"db-sqlite\", ", "")
                    } else {
                        pasted
                    };
                    text.replacen(
                        "[dependencies]\n",
                        &format!("[dependencies]\n{pasted}\n"),
                        1,
                    )
                }),
                Some("src/bin/main.rs") => self.edit("src/bin/main.rs", |text| {
                    let (imports, _) = text.split_once("#[tokio::main]").expect("a main");
                    let pasted = if lightweight {
                        pasted.replace("::<App, Migrator>", "::<App>")
                    } else {
                        pasted
                    };
                    format!("{imports}{pasted}\n")
                }),
                Some("src/app.rs") if heading.contains("initializers") => self.edit("src/app.rs", |text| {
                    let (before, rest) = text.split_once("fn initializers").expect("initializers");
                    let rest = rest.replacen("vec![", &format!("vec![\n{pasted}\n"), 1);
                    format!("{before}fn initializers{rest}")
                }),
                Some("src/app.rs") if heading.contains("register_tasks") => {
                    self.edit("src/app.rs", |text| {
                        let tasks = "fn register_tasks(tasks: &mut Tasks) {\n";
                        text.replacen(tasks, &format!("{tasks}{pasted}\n"), 1)
                    });
                }
                Some("src/app.rs") => self.edit("src/app.rs", |text| {
                    let hooks = "impl Hooks for App {\n";
                    text.replacen(hooks, &format!("{hooks}{pasted}\n\n"), 1)
                }),
                Some("config/development.yaml") => {
                    self.edit("config/development.yaml", |text| {
                        format!("{text}\n{pasted}\n")
                    });
                }
                Some(".cargo/config.toml") => {
                    self.edit(".cargo/config.toml", |text| format!("{text}\n{pasted}\n"));
                }
                _ => panic!("what is {heading}?"),
            }
        }
        lines
    }

    fn start(&self, binary: &Path) -> Running {
        self.service.start(binary, &[]).expect("it starts")
    }
}

fn names(service: &Rendered) -> BTreeSet<String> {
    let files = service.files().into_iter();
    files.map(|file| file.display().to_string()).collect()
}

/// The headings of the instructions, and what is to be pasted below each.
fn sections(instructions: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in instructions.lines() {
        if line.ends_with(':') {
            sections.push((line.to_string(), String::new()));
        } else if let Some((_, pasted)) = sections.last_mut() {
            pasted.push_str(line);
            pasted.push('\n');
        }
    }
    for (_, pasted) in &mut sections {
        *pasted = pasted.trim_matches('\n').to_string();
    }
    sections
}

/// The service takes the memory crate, keeps its own tests, and shows what it has got.
fn adopts(starter: &str, own_tests: usize) {
    let existing = Existing::new(starter);
    let config = existing.service.read(".cargo/config.toml");
    let instructions = existing.init(&[]).expect("it adopts");

    assert_eq!(existing.service.read(".cargo/config.toml"), config);
    let brought = ["memory/", "docs/memory.md", "monitoring/"];
    for file in names(&existing.service).difference(&existing.before) {
        assert!(brought.iter().any(|new| file.starts_with(new)), "{file}");
    }
    let lines = existing.paste(&instructions);
    assert!(lines <= LINES_AT_MOST, "{lines} lines:\n{instructions}");

    let service = &existing.service;
    service.run(&["fmt", "--all"]).expect("it is formatted");
    let output = service
        .run(&["test", "--test", "mod"])
        .expect("its own tests pass");
    let passed = format!("test result: ok. {own_tests} passed; 0 failed; 0 ignored");
    assert!(output.contains(&passed), "{output}");
    let binary = service.build().expect("it builds");
    let mut running = existing.start(&binary);
    let log = running.log();
    assert!(log.contains(r#"profile="lean""#), "{log}");
    assert!(!log.contains("not in effect"), "{log}");
    let metrics = ureq::get("http://127.0.0.1:5151/metrics")
        .call()
        .expect("2xx")
        .body_mut()
        .read_to_string()
        .expect("metrics");
    assert!(metrics.contains("jemalloc_allocated_bytes "), "{metrics}");
    assert_eq!(
        metrics.contains("database_connections_max "),
        starter != "lightweight"
    );
    drop(running);
    let report = service
        .run(&["loco", "task", "memory"])
        .expect("the task runs");
    assert!(report.contains("profile     lean"), "{report}");
    assert!(!report.contains("NOT IN EFFECT"), "{report}");
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn a_stock_lightweight_service_adopts_the_memory_crate() {
    adopts("lightweight", 1);
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn a_stock_rest_service_adopts_the_memory_crate() {
    adopts("rest-api", 26);
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn a_stock_service_with_server_rendered_pages_adopts_the_memory_crate() {
    adopts("saas-server", 28);
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn a_stock_service_with_a_front_end_adopts_the_memory_crate() {
    adopts("saas-client", 26);
}

#[test]
fn an_edit_that_is_missing_is_named() {
    let existing = Existing::new("lightweight");
    let instructions = existing.init(&[]).expect("it adopts");
    existing.paste(&instructions);
    let service = &existing.service;
    for (file, line, named) in [
        (
            "src/app.rs",
            "memory::serve::<Self>(app, ctx, addr).await",
            "memory::serve",
        ),
        (
            "src/app.rs",
            "tasks.register(memory::MemoryTask);",
            "MemoryTask",
        ),
        (
            "src/app.rs",
            "Box::new(memory::MemoryInitializer),",
            "MemoryInitializer",
        ),
        (
            "src/bin/main.rs",
            "#[global_allocator]\n",
            "#[global_allocator]",
        ),
    ] {
        let whole = service.read(file);
        let without = match named {
            // Loco's own way to serve
            "memory::serve" => whole.replace(line, "let _ = (app, ctx, addr); Ok(())"),
            _ => whole.replace(line, ""),
        };
        assert_ne!(whole, without, "{line}");
        fs::write(service.root().join(file), without).expect("a file");

        let output = service.run(&["loco", "doctor"]);

        // Elsewhere it fails, too: it asks the registry for the newest Loco.
        let said = output.unwrap_or_else(|err| err.to_string());
        assert!(said.contains(named), "{named}: {said}");
        fs::write(service.root().join(file), whole).expect("a file");
    }
}

#[test]
fn an_answer_that_is_about_the_service_is_refused() {
    let existing = Existing::new("lightweight");

    let error = existing
        .init(&["-d", "starter=lightweight"])
        .expect_err("the service is there");

    assert!(
        error.contains("starter") && error.contains("--init"),
        "{error}"
    );
    assert_eq!(names(&existing.service), existing.before);
}

#[test]
fn what_is_there_already_is_never_overwritten() {
    let existing = Existing::new("lightweight");
    let docs = existing.service.root().join("docs");
    fs::create_dir(&docs).expect("a directory");
    fs::write(docs.join("memory.md"), "ours").expect("a file");

    existing.init(&[]).expect("it adopts");

    assert_eq!(existing.service.read("docs/memory.md"), "ours");
}
