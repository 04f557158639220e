//! Fast tier: what every set of answers renders to.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use template_tests::{every_combination, profiles, Answers, Rendered};

/// Every set of answers with what it renders to.
fn rendered() -> &'static [(Answers, Rendered)] {
    static RENDERED: OnceLock<Vec<(Answers, Rendered)>> = OnceLock::new();
    RENDERED.get_or_init(|| {
        every_combination()
            .into_iter()
            .map(|answers| {
                let rendered = answers.render().expect("the answers render");
                (answers, rendered)
            })
            .collect()
    })
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension() == Some(OsStr::new(extension))
}

#[test]
fn a_service_has_no_leftovers_of_the_template() {
    for (answers, service) in rendered() {
        for file in service.files() {
            assert!(
                !file.starts_with("hooks") && !file.starts_with("template"),
                "{answers:?}: {}",
                file.display()
            );
            // Mail templates have braces of their own.
            if has_extension(&file, "t") {
                continue;
            }
            let text = service.read(&file);
            assert!(
                !text.contains("{{") && !text.contains("{%"),
                "{answers:?}: Liquid in {}",
                file.display()
            );
            assert!(
                !text.to_lowercase().contains("cargo-generate"),
                "{answers:?}: {} speaks of the template",
                file.display()
            );
        }
    }
}

#[test]
fn every_file_parses() {
    for (answers, service) in rendered() {
        for file in service.files() {
            let text = service.read(&file);
            let result = match file.extension().and_then(OsStr::to_str) {
                Some("toml" | "lock") => toml::from_str::<toml::Table>(&text)
                    .map(drop)
                    .map_err(|err| err.to_string()),
                Some("yaml" | "yml") => serde_yaml_ng::from_str::<serde_yaml_ng::Value>(&text)
                    .map(drop)
                    .map_err(|err| err.to_string()),
                _ => Ok(()),
            };
            assert_eq!(result, Ok(()), "{answers:?}: {}", file.display());
        }
    }
}

#[test]
fn every_file_is_formatted_for_short_and_long_names() {
    let long = "a-service-whose-name-has-forty-letters-x";
    assert_eq!(long.len(), 40);
    for name in ["ab", long] {
        for starter in ["rest-api", "lightweight"] {
            for profile in ["lean", "system"] {
                let service = Answers::new(name)
                    .with("starter", starter)
                    .with("memory_profile", profile)
                    .render()
                    .expect("the answers render");
                let files: Vec<PathBuf> = service
                    .files()
                    .into_iter()
                    .filter(|file| has_extension(file, "rs"))
                    .map(|file| service.root().join(file))
                    .collect();
                let output = Command::new("rustfmt")
                    .args(["--check", "--edition", "2021", "--config-path"])
                    .arg(service.root().join("rustfmt.toml"))
                    .args(&files)
                    .output()
                    .expect("rustfmt runs");
                assert!(
                    output.status.success(),
                    "{name} {starter} {profile}:\n{}",
                    String::from_utf8_lossy(&output.stdout)
                );
            }
        }
    }
}

/// The modules that a directory's sources name, and those that it has.
fn modules(
    service: &Rendered,
    directory: &Path,
    file: &Path,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let named = service
        .read(file)
        .lines()
        .filter_map(|line| {
            let line = line.strip_prefix("pub ").unwrap_or(line);
            Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_string())
        })
        .collect();
    let found = service
        .files()
        .into_iter()
        .filter_map(|path| {
            let path = path.strip_prefix(directory).ok()?.to_path_buf();
            let parts: Vec<_> = path
                .iter()
                .map(|part| part.to_string_lossy().into_owned())
                .collect();
            match parts.as_slice() {
                [name] => name.strip_suffix(".rs").map(String::from),
                [name, file] if file == "mod.rs" => Some(name.clone()),
                _ => None,
            }
        })
        .filter(|name| name != "mod" && name != "lib")
        .collect();
    (named, found)
}

#[test]
fn every_module_has_its_file_and_every_file_its_module() {
    for (answers, service) in rendered() {
        for file in service.files() {
            let name = file.file_name().expect("a name");
            if name != "mod.rs" && name != "lib.rs" {
                continue;
            }
            let directory = file.parent().expect("a directory").to_path_buf();
            let (named, found) = modules(service, &directory, &file);
            assert_eq!(named, found, "{answers:?}: {}", file.display());
        }
    }
}

#[test]
fn nothing_of_a_choice_not_taken_is_there() {
    for (answers, service) in rendered() {
        let all: String = service
            .files()
            .iter()
            .filter(|file| !file.ends_with("Cargo.lock") && !file.ends_with("README.md"))
            .map(|file| service.read(file))
            .collect();
        if answers.get("memory_profile") == Some("system") {
            assert!(!all.contains("jemalloc"), "{answers:?}");
            assert!(!service.has("src/memory/jemalloc.rs"));
        } else {
            assert!(all.contains("JEMALLOC_SYS_WITH_MALLOC_CONF"), "{answers:?}");
        }
        if answers.get("starter") == Some("lightweight") {
            assert!(
                !all.contains("sea_orm") && !all.contains("migration"),
                "{answers:?}"
            );
            assert!(!service.has("src/models"));
        }
        match answers.get("database") {
            Some("postgres") => assert!(!all.contains("sqlite"), "{answers:?}"),
            Some("sqlite") => assert!(!all.contains("postgres"), "{answers:?}"),
            _ => {}
        }
    }
}

#[test]
fn a_profile_reaches_the_service_as_it_stands_in_the_table() {
    for profile in profiles::all() {
        let Some(options) = profile.options else {
            continue;
        };
        let service = Answers::new("svc")
            .with("memory_profile", &profile.name)
            .render()
            .expect("the answers render");
        let config: toml::Table =
            toml::from_str(&service.read(".cargo/config.toml")).expect("TOML");
        let env = config["env"].as_table().expect("[env]");
        let value = |name: &str| env.get(name).and_then(toml::Value::as_str);

        assert_eq!(value("MEMORY_PROFILE"), Some(profile.name.as_str()));
        assert_eq!(
            value("JEMALLOC_SYS_WITH_MALLOC_CONF"),
            Some(options.as_str())
        );
        let portable = options.replace("background_thread:true,", "");
        for target in [
            "AARCH64_APPLE_DARWIN",
            "X86_64_APPLE_DARWIN",
            "AARCH64_UNKNOWN_LINUX_MUSL",
            "X86_64_UNKNOWN_LINUX_MUSL",
        ] {
            let line = value(&format!("{target}_JEMALLOC_SYS_WITH_MALLOC_CONF"));
            assert_eq!(
                line,
                (portable != options).then_some(portable.as_str()),
                "{target}"
            );
        }
    }
}

#[test]
fn defaults_need_no_answer() {
    let service = Answers::new("svc").render().expect("no answers at all");

    assert!(service
        .read(".cargo/config.toml")
        .contains(r#"MEMORY_PROFILE = "lean""#));
    assert!(service
        .read("config/development.yaml")
        .contains("sqlite://svc_development.sqlite"));
}

#[test]
fn wiring_files_are_as_last_reviewed() {
    for (choice, answers) in [
        ("rest-api", Answers::new("svc")),
        (
            "rest-api-postgres-blocking",
            Answers::new("svc")
                .with("database", "postgres")
                .with("background", "blocking"),
        ),
        (
            "lightweight-system",
            Answers::new("svc")
                .with("starter", "lightweight")
                .with("memory_profile", "system"),
        ),
    ] {
        let service = answers.render().expect("the answers render");
        let wiring: String = [
            "Cargo.toml",
            ".cargo/config.toml",
            "src/app.rs",
            "src/bin/main.rs",
            "config/production.yaml",
        ]
        .into_iter()
        .map(|file| format!("──── {file}\n{}\n", service.read(file)))
        .collect();
        insta::assert_snapshot!(choice, wiring);
    }
}
