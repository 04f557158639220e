//! Fast tier: the real prompts, in a pseudo-terminal.

#![cfg(unix)]

use std::{env, fs, path::Path, process::Command, time::Duration};

use expectrl::{Eof, Expect, Session};
use template_tests::{copy_template, repository, terminal, Rendered};

const ENTER: &str = "\r";
const DOWN: &str = "\u{1b}[B";

/// Generates a service in a directory.
fn generate(directory: &Path) -> Command {
    let template = copy_template(&directory.join("template"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_generate"));
    command
        .args(["generate", "--vcs", "none", "--path"])
        .arg(template)
        .arg("--destination")
        .arg(directory);
    command
}

/// Answers each question with key presses, and returns what was generated.
fn answer(dialogue: &[(&str, &str)]) -> Rendered {
    let directory = tempfile::tempdir().expect("a directory");
    let mut session = Session::spawn(generate(directory.path())).expect("a pseudo-terminal");
    session.set_expect_timeout(Some(Duration::from_secs(20)));
    for (question, keys) in dialogue {
        session
            .expect(*question)
            .unwrap_or_else(|err| panic!("not asked: {question}: {err}"));
        session.send(*keys).expect("keys");
    }
    session.expect(Eof).expect("it ends");
    let service = directory.path().join("my-service");
    Rendered::within(directory, service)
}

#[test]
fn enter_all_the_way_gives_the_defaults() {
    let service = answer(&[
        ("Project Name", "my-service\r"),
        ("What kind of service?", ENTER),
        ("Which database?", ENTER),
        ("Where do background jobs run?", ENTER),
        ("Which memory profile?", ENTER),
        ("Prometheus metrics", ENTER),
        ("Heap profiles", ENTER),
        ("OpenTelemetry traces", ENTER),
        ("OpenAPI description", ENTER),
    ]);

    assert!(service.read("Cargo.toml").contains("db-sqlite"));
    assert!(service
        .read(".cargo/config.toml")
        .contains("MEMORY_PROFILE = \"lean\""));
}

#[test]
fn a_lightweight_service_has_no_question_about_a_database() {
    let service = answer(&[
        ("Project Name", "my-service\r"),
        (
            "What kind of service?",
            &format!("{}{ENTER}", DOWN.repeat(3)),
        ),
        (
            "Which memory profile?",
            &format!("{}{ENTER}", DOWN.repeat(2)),
        ),
        ("Prometheus metrics", ENTER),
        ("Heap profiles", ENTER),
        ("OpenTelemetry traces", ENTER),
        ("OpenAPI description", ENTER),
    ]);

    assert!(!service.has("src/models"));
    assert!(service
        .read(".cargo/config.toml")
        .contains("MEMORY_PROFILE = \"aggressive\""));
}

#[test]
fn a_service_with_pages_has_a_question_about_its_assets() {
    let service = answer(&[
        ("Project Name", "my-service\r"),
        ("What kind of service?", &format!("{DOWN}{ENTER}")),
        ("Which database?", ENTER),
        ("Where do background jobs run?", ENTER),
        (
            "Build the assets into the binary?",
            &format!("{DOWN}{ENTER}"),
        ),
        ("Which memory profile?", ENTER),
        ("Prometheus metrics", ENTER),
        ("Heap profiles", ENTER),
        ("OpenTelemetry traces", ENTER),
        ("OpenAPI description", ENTER),
    ]);

    assert!(service.has("assets/views"));
    assert!(service.read("Cargo.toml").contains("embedded_assets"));
}

#[test]
fn the_custom_profile_asks_for_its_options() {
    let service = answer(&[
        ("Project Name", "my-service\r"),
        (
            "What kind of service?",
            &format!("{}{ENTER}", DOWN.repeat(3)),
        ),
        (
            "Which memory profile?",
            &format!("{}{ENTER}", DOWN.repeat(5)),
        ),
        ("Which jemalloc options?", "narenas:2\r"),
        ("Prometheus metrics", ENTER),
        ("Heap profiles", ENTER),
        ("OpenTelemetry traces", ENTER),
        ("OpenAPI description", ENTER),
    ]);

    assert!(service
        .read(".cargo/config.toml")
        .contains("\"narenas:2,abort_conf:true\""));
}

#[test]
fn with_init_only_the_questions_about_memory_and_traces_are_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let template = copy_template(&directory.path().join("template"));
    let service = directory.path().join("my-service");
    fs::create_dir(&service).expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_generate"));
    command
        .args(["generate", "--init", "--name", "my-service", "--path"])
        .arg(template)
        .current_dir(&service);
    let mut session = Session::spawn(command).expect("a pseudo-terminal");
    session.set_expect_timeout(Some(Duration::from_secs(20)));

    for question in [
        "Which memory profile?",
        "Prometheus metrics",
        "Heap profiles",
        "OpenTelemetry traces",
    ] {
        let before = session.expect(question).expect("it is asked");
        let before = String::from_utf8_lossy(before.before()).into_owned();
        for other in ["What kind", "Which database", "background jobs"] {
            assert!(!before.contains(other), "{before}");
        }
        session.send(ENTER).expect("keys");
    }
    session.expect(Eof).expect("it ends");

    let service = Rendered::within(directory, service);
    assert!(service.has("memory/src/lib.rs"));
    assert!(!service.has("Cargo.toml") && !service.has("src"));
}

/// What is on the screen when the memory profile is asked for.
#[test]
fn the_picture_in_the_readme_shows_the_prompts() {
    const SIZE: (u16, u16) = (40, 120);
    let directory = tempfile::tempdir().expect("a directory");
    let mut session = Session::spawn(generate(directory.path())).expect("a pseudo-terminal");
    let (rows, columns) = SIZE;
    session
        .get_process_mut()
        .set_window_size(columns, rows)
        .expect("a size");
    session.set_expect_timeout(Some(Duration::from_secs(20)));
    let mut terminal = vt100::Parser::new(rows, columns, 0);
    for (text, keys) in [
        ("Project Name", "my-service\r"),
        ("lightweight\r\n", ENTER),
        ("postgres\r\n", ENTER),
        ("sqlite\r\n", ENTER),
        ("custom", ""),
    ] {
        let found = session
            .expect(text)
            .unwrap_or_else(|err| panic!("{text}: {err}"));
        terminal.process(found.as_bytes());
        session.send(keys).expect("keys");
    }

    let screen = terminal.screen();
    let lines: Vec<String> = screen
        .rows(0, columns)
        .map(|line| line.trim_end().to_string())
        // Before that are paths of this machine.
        .skip_while(|line| !line.contains("Project Name"))
        .filter(|line| !line.is_empty())
        .collect();

    assert!(lines.len() > 8, "{lines:#?}");
    let readme = fs::read_to_string(repository().join("README.md")).expect("README.md");
    for (theme, file) in terminal::FILES {
        assert!(readme.contains(file), "README.md does not show {file}");
        let drawn = terminal::draw(&lines, theme);
        let file = repository().join(file);
        if env::var_os("UPDATE_PICTURES").is_some() {
            fs::write(&file, &drawn).expect("a picture");
        }
        let committed = fs::read_to_string(&file).unwrap_or_default();
        assert!(committed == drawn, "run this test with UPDATE_PICTURES=1");
    }
}
