//! Fast tier: which answers are refused, with which error, and what they leave behind.

use std::{fs, path::Path, process::Command};

use template_tests::{profiles, Answers, Rendered};

/// The answers are refused with an error that contains all of `parts`, and leave at most the empty
/// folder that cargo-generate itself creates before it asks.
fn assert_refused(answers: &Answers, parts: &[&str]) {
    let directory = tempfile::tempdir().expect("a directory");
    let error = answers
        .render_into(directory.path())
        .map(|path| panic!("{answers:?} was accepted: {}", path.display()))
        .map_err(|err| format!("{err:#}"))
        .unwrap_err();
    for part in parts {
        assert!(error.contains(part), "{answers:?}: no {part:?} in {error}");
    }
    for left in fs::read_dir(directory.path()).expect("a directory") {
        let left = left.expect("an entry").path();
        assert!(
            fs::read_dir(&left).expect("a folder").next().is_none(),
            "{answers:?} left {}",
            left.display()
        );
    }
}

#[test]
fn unknown_values_are_refused_by_name() {
    for prompt in [
        "starter",
        "database",
        "background",
        "memory_profile",
        "memory_metrics",
        "heap_profiling",
        "traces",
        "openapi",
    ] {
        assert_refused(
            &Answers::new("svc").with(prompt, "nonsense"),
            &[prompt, "nonsense"],
        );
    }
}

#[test]
fn answers_without_a_question_are_refused() {
    let lightweight = Answers::new("svc").with("starter", "lightweight");
    assert_refused(
        &lightweight.clone().with("database", "postgres"),
        &["database", "starter", "postgres", "lightweight"],
    );
    assert_refused(
        &lightweight.with("background", "async"),
        &["background", "starter"],
    );
    assert_refused(
        &Answers::new("svc").with("malloc_conf", "dirty_decay_ms:1"),
        &["malloc_conf", "memory_profile", "lean"],
    );
    assert_refused(
        &Answers::new("svc").with("embedded_assets", "true"),
        &["embedded_assets", "starter", "rest-api"],
    );
    for question in ["memory_metrics", "heap_profiling"] {
        assert_refused(
            &Answers::new("svc")
                .with("memory_profile", "system")
                .with(question, "true"),
            &[question, "memory_profile", "system"],
        );
    }
}

#[test]
fn a_malloc_conf_that_jemalloc_would_not_accept_is_refused() {
    for (malloc_conf, part) in [
        ("", "is empty"),
        ("dirty_decay_ms", "not a name:value pair"),
        ("dirty_decay_ms:", "no value"),
        (":1", "not an option"),
        ("dirty_decay_ms:1,", "not a name:value pair"),
        ("dirty_decay:1", "not an option"),
        ("prof:true", "requires heap_profiling = true"),
        ("dirty_decay_ms:1 ", "character"),
        ("dirty_decay_ms:\"1\"", "character"),
        ("dirty_decay_ms:'1'", "character"),
        // cargo-generate itself does not accept a newline after -d.
        (
            "dirty_decay_ms:1\nmuzzy_decay_ms:1",
            "Failed to parse value",
        ),
        ("dirty_decay_ms:$(id)", "character"),
        ("dirty_decay_ms:1;id", "character"),
        ("dirty_decay_ms:1]", "character"),
        ("dirty_decay_ms:{{x}}", "character"),
    ] {
        assert_refused(
            &Answers::new("svc")
                .with("memory_profile", "custom")
                .with("malloc_conf", malloc_conf),
            &["malloc_conf", part],
        );
    }
}

#[test]
fn a_custom_profile_aborts_on_a_typo() {
    let conf = |malloc_conf| {
        Answers::new("svc")
            .with("memory_profile", "custom")
            .with("malloc_conf", malloc_conf)
            .render()
            .expect("the answers render")
            .read(".cargo/config.toml")
    };

    assert!(
        conf("dirty_decay_ms:1").contains(r#"CONF = { value = "dirty_decay_ms:1,abort_conf:true""#)
    );
    assert!(conf("abort_conf:false,tcache:false")
        .contains(r#"CONF = { value = "abort_conf:false,tcache:false""#));
    assert!(conf("slab_sizes:128-4096:16|8192-8192:4")
        .contains(r#"CONF = { value = "slab_sizes:128-4096:16|8192-8192:4,abort_conf:true""#));
}

#[test]
fn heap_profiles_can_be_written_to_a_folder() {
    let service = Answers::new("svc")
        .with("memory_profile", "custom")
        .with("malloc_conf", "prof_prefix:/tmp/heap")
        .with("heap_profiling", "true")
        .render()
        .expect("the answers render");

    let config = service.read(".cargo/config.toml");
    assert!(config.contains("prof_prefix:/tmp/heap"), "{config}");
}

#[test]
fn names_that_cannot_be_built_are_refused_with_a_reason() {
    for (name, part) in [
        ("async", "keyword"),
        ("Self", "keyword"),
        ("1st", "ASCII letter"),
        ("loco-rs", "crate"),
        ("axum", "crate"),
        ("tokio", "crate"),
        ("test", "crate"),
        ("migration", "crate"),
        ("users", "module"),
        (
            "a-name-that-is-longer-than-a-database-on-a-server-can-have",
            "longer than 51",
        ),
        ("café", "character"),
        ("日本", "ASCII letter"),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let error = Answers::new(name)
            .render_into(directory.path())
            .expect_err("a bad name");
        let error = format!("{error:#}");
        assert!(
            error.contains("project-name") && error.contains(part),
            "{name}: {error}"
        );
        assert!(
            fs::read_dir(directory.path())
                .expect("a directory")
                .next()
                .is_none(),
            "{name} left something"
        );
    }
}

#[test]
fn every_crate_that_a_service_uses_is_reserved() {
    let reserved = fs::read_to_string(template_tests::repository().join("hooks/project_name.rhai"))
        .expect("the hook");
    let service = Answers::new("svc").render().expect("no answers at all");
    let manifest: toml::Table = toml::from_str(&service.read("Cargo.toml")).expect("TOML");

    let tables = ["dependencies", "dev-dependencies"].map(|table| manifest[table].clone());
    for table in tables {
        for name in table.as_table().expect("dependencies").keys() {
            let name = format!("\"{}\"", name.replace('-', "_"));
            assert!(reserved.contains(&name), "{name} is not among RESERVED");
        }
    }
}

/// `use users::models::users;` would refer to a module instead of the crate.
#[test]
fn every_module_that_a_service_imports_by_name_is_reserved() {
    let reserved = fs::read_to_string(template_tests::repository().join("hooks/project_name.rhai"))
        .expect("the hook");
    let mut imported = 0;
    for starter in ["rest-api", "saas-server", "saas-client", "lightweight"] {
        let service = Answers::new("svc")
            .with("starter", starter)
            .render()
            .expect("the answers render");
        for file in service.files() {
            if file.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = service.read(&file);
            for import in text.split("use svc::").skip(1) {
                let (import, _) = import.split_once(';').expect("its end");
                for path in import.split([',', '{', '}']) {
                    let name = path.rsplit("::").next().unwrap_or_default().trim();
                    // Modules are in lower case. The path before braces ends in an empty name.
                    if name.starts_with(|first: char| first.is_lowercase()) && name != "self" {
                        let name = format!("\"{name}\"");
                        assert!(reserved.contains(&name), "{name} is not among RESERVED");
                        imported += 1;
                    }
                }
            }
        }
    }
    assert!(imported > 0, "no module is imported");
}

#[test]
fn names_with_capitals_and_dots_become_kebab_case() {
    for (name, expected) in [
        ("MyService", "my-service"),
        ("my.service", "my-service"),
        ("my_service", "my_service"),
    ] {
        let service = Answers::new(name).render().expect("the name is converted");
        assert!(
            service
                .read("Cargo.toml")
                .contains(&format!("name = \"{expected}\"")),
            "{name}"
        );
        assert!(
            service
                .read("src/bin/main.rs")
                .contains("use my_service::app::App;"),
            "{name}"
        );
    }
}

#[test]
fn an_existing_destination_is_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let existing = directory.path().join("svc");
    fs::create_dir(&existing).expect("a folder");
    fs::write(existing.join("file"), "mine").expect("a file");

    let error = Answers::new("svc")
        .render_into(directory.path())
        .expect_err("it exists");

    assert!(format!("{error:#}").contains("already exists"));
    assert_eq!(
        fs::read_to_string(existing.join("file")).expect("the file"),
        "mine"
    );
    assert_eq!(fs::read_dir(&existing).expect("the folder").count(), 1);
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    fs::write(path, text).expect("a file");
}

#[test]
fn inside_a_workspace_the_service_becomes_a_member() {
    let directory = tempfile::tempdir().expect("a directory");
    write(
        &directory.path().join("Cargo.toml"),
        "[workspace]\nresolver = \"2\"\nmembers = [\"other\"]\n",
    );
    write(
        &directory.path().join("other/Cargo.toml"),
        "[package]\nname = \"other\"\nedition = \"2021\"\n",
    );
    write(&directory.path().join("other/src/lib.rs"), "");

    let service = Rendered::at(
        Answers::new("svc")
            .render_into(directory.path())
            .expect("it renders"),
    );

    let root: toml::Table =
        toml::from_str(&fs::read_to_string(directory.path().join("Cargo.toml")).expect("the root"))
            .expect("TOML");
    let members = root["workspace"]["members"].as_array().expect("members");
    assert!(
        members.iter().any(|member| member.as_str() == Some("svc")),
        "{members:?}"
    );
    let manifest = service.read("Cargo.toml");
    assert!(
        !manifest.contains("[workspace]") && !manifest.contains("[profile"),
        "{manifest}"
    );
    assert!(!service.has("Cargo.lock"));
}

/// As README.md says: cargo-generate adds the member, and looks only one folder up.
#[test]
fn deep_in_a_workspace_the_service_is_not_made_a_member() {
    let workspace = tempfile::tempdir().expect("a directory");
    let manifest = workspace.path().join("Cargo.toml");
    let text = "[workspace]\nmembers = []\nresolver = \"2\"\n";
    fs::write(&manifest, text).expect("a manifest");
    let services = workspace.path().join("services");
    fs::create_dir(&services).expect("a folder");

    let root = Answers::new("svc")
        .render_into(&services)
        .expect("the answers render");

    assert_eq!(fs::read_to_string(&manifest).expect("a manifest"), text);
    let service = Rendered::at(root);
    assert!(!service.read("Cargo.toml").contains("[workspace]"));
    assert!(!service.has("Cargo.lock") && !service.has("Dockerfile"));
}

#[test]
fn inside_a_git_repository_the_service_is_part_of_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let template = template_tests::copy_template(&directory.path().join("template"));
    let repository = directory.path().join("repository");
    fs::create_dir(&repository).expect("a folder");
    let run = |command: &mut Command| {
        let output = command.current_dir(&repository).output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    run(Command::new("git").args(["init", "--quiet"]));

    run(Command::new(env!("CARGO_BIN_EXE_generate"))
        .args(["generate", "--silent", "--name", "svc", "--path"])
        .arg(&template));

    assert!(repository.join("svc/src/app.rs").exists());
    assert!(!repository.join("svc/.git").exists());
    let status = run(Command::new("git").args(["status", "--porcelain"]));
    assert_eq!(status, "?? svc/\n");
}

#[test]
fn a_template_directory_may_have_a_space_in_its_path() {
    let directory = tempfile::tempdir().expect("a directory");
    let template = template_tests::copy_template(&directory.path().join("my template"));
    let destination = directory.path().join("my services");
    fs::create_dir(&destination).expect("a folder");

    let service = Answers::new("svc")
        .render_from(&template, &destination)
        .expect("it renders");

    assert!(service.join("src/app.rs").exists());
}

#[test]
fn a_folder_in_which_jemalloc_cannot_be_built_is_named() {
    let output_for = |folder: &str, profile: &str| {
        let directory = tempfile::tempdir().expect("a directory");
        let template = template_tests::copy_template(&directory.path().join("template"));
        let destination = directory.path().join(folder);
        fs::create_dir(&destination).expect("a folder");
        let output = Command::new(env!("CARGO_BIN_EXE_generate"))
            .args(["generate", "--silent", "--vcs", "none", "--name", "svc"])
            .args(["--define", &format!("memory_profile={profile}")])
            .arg("--path")
            .arg(template)
            .arg("--destination")
            .arg(&destination)
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{output:?}");
        assert!(destination.join("svc/Cargo.toml").exists());
        String::from_utf8(output.stdout).expect("text")
    };

    for character in [" ", "'", "&", ";", "(", "$", "`", "#"] {
        let output = output_for(&format!("my{character}services"), "lean");
        let warning = format!("in a folder with \"{character}\" in its path: ");
        assert!(output.contains(&warning), "{output}");
        assert!(output.contains("export CARGO_TARGET_DIR="), "{output}");
    }
    for (folder, profile) in [("a+b,c=d@e~f%g!", "lean"), ("my services", "system")] {
        let output = output_for(folder, profile);
        assert!(!output.contains("warning"), "{output}");
    }
}

#[test]
fn the_prompt_offers_the_profiles_of_the_table() {
    let text = fs::read_to_string(template_tests::repository().join("cargo-generate.toml"))
        .expect("the prompts");
    let prompts: toml::Table = toml::from_str(&text).expect("TOML");
    let profile = prompts["conditional"]
        .as_table()
        .expect("conditionals")
        .values()
        .find_map(|block| block.get("placeholders")?.get("memory_profile"))
        .expect("the question");
    let offered: Vec<&str> = profile["choices"]
        .as_array()
        .expect("choices")
        .iter()
        .filter_map(toml::Value::as_str)
        .collect();
    let table: Vec<String> = profiles::all()
        .into_iter()
        .map(|profile| profile.name)
        .collect();

    assert_eq!(offered, table);
    assert_eq!(profile["default"].as_str(), Some(table[0].as_str()));
}
