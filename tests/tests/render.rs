//! Fast tier: what every set of answers renders to.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ffi::OsStr,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, OnceLock},
};

use serde::Deserialize;
use template_tests::{all_combinations, distinct_combinations, profiles, Answers, Sources};

/// Services that between them have every distinct file.
fn services() -> &'static [Sources] {
    static SERVICES: OnceLock<Vec<Sources>> = OnceLock::new();
    SERVICES.get_or_init(|| Sources::render_all(&distinct_combinations()))
}

/// Each distinct file, by path and content, with a service that has it.
fn distinct_files() -> impl Iterator<Item = (&'static Sources, &'static Path, &'static str)> {
    let mut seen = HashSet::new();
    services()
        .iter()
        .flat_map(|service| {
            service
                .files()
                .map(move |(path, text)| (service, path, text))
        })
        // Equal texts are at the same address.
        .filter(move |(_, path, text)| seen.insert((*path, Arc::as_ptr(text))))
        .map(|(service, path, text)| (service, path, &**text))
}

/// What the name of a file has if it is for only one starter.
const VARIANTS: [&str; 3] = [".lightweight.", ".saas-client.", ".saas-server."];

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension() == Some(OsStr::new(extension))
}

/// Templates that the service itself renders, or code whose language has double braces.
fn has_its_own_braces(path: &Path) -> bool {
    has_extension(path, "t")
        || ["assets/views", "frontend/src"]
            .iter()
            .any(|of| path.starts_with(of))
}

#[test]
fn a_service_has_no_leftovers_of_the_template() {
    for (Sources { answers, .. }, file, text) in distinct_files() {
        assert!(
            !file.starts_with("hooks") && !file.starts_with("template"),
            "{answers:?}: {}",
            file.display()
        );
        if has_its_own_braces(file) {
            assert!(
                !text.contains("starter =="),
                "{answers:?}: Liquid in {}",
                file.display()
            );
            continue;
        }
        // GitHub's workflows have their own expressions, ${{ … }}, and Prometheus {{ $value }}.
        let text = text.replace("${{", "").replace("{{ $", "");
        assert!(
            !text.contains("{{") && !text.contains("{%"),
            "{answers:?}: Liquid in {}",
            file.display()
        );
        // README.md explains how to update a service.
        assert!(
            !text.to_lowercase().contains("cargo-generate") || file == Path::new("README.md"),
            "{answers:?}: {} mentions the template",
            file.display()
        );
        assert!(
            !VARIANTS
                .iter()
                .any(|starter| file.to_string_lossy().contains(starter)),
            "{answers:?}: {} is a starter's variant of a file",
            file.display()
        );
    }
}

#[test]
fn every_file_parses() {
    for (Sources { answers, .. }, file, text) in distinct_files() {
        let result = match file.extension().and_then(OsStr::to_str) {
            Some("toml" | "lock") => toml::from_str::<toml::Table>(text)
                .map(drop)
                .map_err(|err| err.to_string()),
            Some("json") => serde_json::from_str::<serde_json::Value>(text)
                .map(drop)
                .map_err(|err| err.to_string()),
            Some("yaml" | "yml") => serde_yaml_ng::Deserializer::from_str(text)
                .try_for_each(|document| serde_yaml_ng::Value::deserialize(document).map(drop))
                .map_err(|err| err.to_string()),
            _ => Ok(()),
        };
        assert_eq!(result, Ok(()), "{answers:?}: {}", file.display());
    }
}

/// What rustfmt would change.
fn unformatted(text: &str, settings: &Path) -> String {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--check", "--edition", "2021", "--config-path"])
        .arg(settings)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("rustfmt runs");
    let mut stdin = rustfmt.stdin.take().expect("piped");
    stdin.write_all(text.as_bytes()).expect("rustfmt reads");
    drop(stdin);
    let output = rustfmt.wait_with_output().expect("rustfmt ends");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_file_is_formatted_for_short_and_long_names() {
    let long = "a-service-whose-name-has-forty-letters-x";
    assert_eq!(long.len(), 40);
    // Services that between them have every distinct source file.
    let examples: BTreeMap<String, &Answers> = distinct_files()
        .filter(|(_, file, _)| has_extension(file, "rs"))
        .map(|(Sources { answers, .. }, _, _)| (format!("{answers:?}"), answers))
        .collect();
    let settings = template_tests::repository().join("template/rustfmt.toml");

    let mut checked = HashSet::new();
    for answers in examples.into_values() {
        for name in ["ab", long] {
            let service = Sources::render(answers.clone().named(name));
            for (file, text) in service.files() {
                if has_extension(file, "rs") && checked.insert(Arc::clone(text)) {
                    let changes = unformatted(text, &settings);
                    assert_eq!(changes, "", "{name} {answers:?}: {}", file.display());
                }
            }
        }
    }
}

/// The modules that a directory's sources declare, and those that exist.
fn modules(
    service: &Sources,
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
        .filter_map(|(path, _)| {
            let path = path.strip_prefix(directory).ok()?;
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
    for service in services() {
        for (file, _) in service.files() {
            let name = file.file_name().expect("a name");
            // The memory crate is the same in every service, and its own build checks this.
            if name != "mod.rs" && name != "lib.rs" || file.starts_with("memory") {
                continue;
            }
            let directory = file.parent().expect("a directory");
            let (named, found) = modules(service, directory, file);
            assert_eq!(named, found, "{:?}: {}", service.answers, file.display());
        }
    }
}

#[test]
fn nothing_of_other_choices_is_included() {
    for service in services() {
        let answers = &service.answers;
        let all: String = service
            .files()
            // The memory crate has a feature for each choice, README.md explains how to change one,
            // and the guide covers all services.
            .filter(|(file, _)| !file.starts_with("memory") && !file.ends_with(".template.toml"))
            .filter(|(file, _)| !file.ends_with("Cargo.lock") && !file.ends_with("README.md"))
            .filter(|(file, _)| !file.ends_with("development.md"))
            .map(|(_, text)| &**text)
            .collect();
        if answers.get("memory_profile") == Some("system") {
            assert!(!all.contains("jemalloc"), "{answers:?}");
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
        let has_pages = answers.get("starter") == Some("saas-server");
        assert_eq!(service.has("assets/views"), has_pages, "{answers:?}");
        assert_eq!(all.contains("fluent-templates"), has_pages, "{answers:?}");
        assert_eq!(
            all.contains("embedded_assets"),
            has_pages && answers.get("embedded_assets") == Some("true"),
            "{answers:?}"
        );
        let has_front_end = answers.get("starter") == Some("saas-client");
        let embeds_it = has_front_end && answers.get("embedded_assets") == Some("true");
        assert_eq!(service.has("frontend"), has_front_end, "{answers:?}");
        assert_eq!(
            service.has("src/controllers/frontend.rs"),
            embeds_it,
            "{answers:?}"
        );
        let stores = [answers.get("database"), answers.get("background")];
        for store in ["sqlite", "postgres", "redis"] {
            if !stores.contains(&Some(store)) {
                assert!(!all.contains(store), "{answers:?}: {store}");
            }
        }
    }
}

#[test]
fn a_service_has_the_options_of_its_profile() {
    for profile in profiles::all() {
        let Some(options) = profile.options else {
            continue;
        };
        let service = Sources::render(Answers::new("svc").with("memory_profile", &profile.name));
        let config: toml::Table = toml::from_str(service.read(".cargo/config.toml")).expect("TOML");
        let env = config["env"].as_table().expect("[env]");
        let value = |name: &str| {
            let variable = env.get(name)?.as_table().expect("value and force");
            // Otherwise a variable in the shell would replace it.
            assert_eq!(variable["force"].as_bool(), Some(true), "{name}");
            variable["value"].as_str()
        };

        assert_eq!(env["MEMORY_PROFILE"].as_str(), Some(profile.name.as_str()));
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
fn locos_scaffold_generator_finds_its_anchors_in_the_front_end() {
    let service = Answers::new("svc")
        .with("starter", "saas-client")
        .render()
        .expect("the answers render");

    // loco-gen 1.2: templates/scaffold/frontend/frontend_list.t
    for (file, anchor) in [
        ("frontend/src/routes.tsx", "// scaffold:imports"),
        ("frontend/src/routes.tsx", "// scaffold:routes"),
        ("frontend/src/pages/Home.tsx", "scaffold:nav"),
    ] {
        assert_eq!(
            service.read(file).matches(anchor).count(),
            1,
            "{anchor} in {file}"
        );
    }
}

#[test]
fn both_saas_starters_look_the_same() {
    let template = template_tests::repository().join("template");
    for (server, client) in [
        ("assets/static/style.css", "frontend/src/index.css"),
        ("assets/static/favicon.svg", "frontend/public/favicon.svg"),
    ] {
        let text = |path| std::fs::read_to_string(template.join(path)).expect("a file");
        assert_eq!(text(server), text(client), "{server}");
    }
}

#[test]
fn the_front_end_installs_the_tested_packages_from_any_registry() {
    let service = Answers::new("svc")
        .with("starter", "saas-client")
        .render()
        .expect("the answers render");
    let json = |file: &str| -> serde_json::Value {
        serde_json::from_str(&service.read(file)).expect("JSON")
    };
    let manifest = json("frontend/package.json");
    let lock = json("frontend/package-lock.json");

    for dependencies in ["dependencies", "devDependencies"] {
        assert_eq!(lock["packages"][""][dependencies], manifest[dependencies]);
    }
    for (path, package) in lock["packages"].as_object().expect("packages") {
        assert!(
            path.is_empty() || package["integrity"].is_string(),
            "{path}"
        );
        assert_eq!(package.get("resolved"), None, "{path}");
    }
}

#[test]
fn every_choice_of_the_questions_is_rendered() {
    let path = template_tests::repository().join("cargo-generate.toml");
    let questions = std::fs::read_to_string(path).expect("the questions");
    let questions: toml::Table = toml::from_str(&questions).expect("TOML");
    let conditional = questions["conditional"].as_table().expect("conditions");
    let tables = conditional
        .values()
        .filter_map(|block| block.get("placeholders"));

    let services = all_combinations();
    let mut count = 0;
    for (name, question) in tables.flat_map(|table| table.as_table().expect("questions")) {
        let Some(choices) = question.get("choices") else {
            continue;
        };
        let choices: BTreeSet<&str> = choices
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(toml::Value::as_str)
            .collect();
        let rendered: BTreeSet<&str> = services
            .iter()
            .filter_map(|answers| answers.get(name))
            .collect();
        assert_eq!(rendered, choices, "{name}");
        count += 1;
    }
    assert!(count > 5, "{count} questions");
}

#[test]
fn defaults_need_no_answer() {
    let service = Sources::render(Answers::new("svc"));

    assert!(service
        .read(".cargo/config.toml")
        .contains(r#"MEMORY_PROFILE = "lean""#));
    assert!(service
        .read("config/development.yaml")
        .contains("sqlite://svc_development.sqlite"));
}

/// Files with more conditions than a handful, and how many they may have.
const MANY_CONDITIONS: [(&str, usize); 18] = [
    (".dockerignore", 11),
    (".github/workflows/ci.yaml", 19),
    ("AGENTS.lightweight.md", 17),
    ("AGENTS.md", 36),
    ("Cargo.toml.liquid", 25),
    ("Dockerfile", 14),
    ("README.lightweight.md", 16),
    ("README.md", 82),
    ("compose.yaml", 49),
    ("config/development.yaml", 36),
    ("config/production.yaml", 32),
    ("config/test.yaml", 24),
    ("deploy/kubernetes/base/kustomization.yaml", 9),
    ("docs/scaling.md", 10),
    ("src/app.rs", 14),
    ("src/app.saas-client.rs", 20),
    ("src/app.saas-server.rs", 14),
    ("src/environment/variables.rs", 16),
];
const A_HANDFUL: usize = 8;

#[test]
fn few_files_have_more_than_a_handful_of_conditions() {
    let template = template_tests::repository().join("template");
    let not_rendered = [
        ".loco-templates",
        "Cargo.lock.liquid", // written by `refresh-lock`
        "assets/views",
        "frontend",
        "memory/target",
    ];
    let mut total = 0;
    for entry in walkdir::WalkDir::new(&template) {
        let entry = entry.expect("the template");
        let file = entry.path().strip_prefix(&template).expect("below it");
        if not_rendered.iter().any(|folder| file.starts_with(folder)) {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(entry.path()) else {
            continue;
        };
        // What is between these two is copied as it is.
        let verbatim = text.matches("raw %}").count();
        let tags = text.matches("{%").count() - verbatim;
        total += tags;
        if file.starts_with("memory/src") {
            assert_eq!(tags, 0, "{}", file.display());
        }
        let limit = MANY_CONDITIONS
            .iter()
            .find_map(|(name, limit)| (file == Path::new(name)).then_some(*limit))
            .unwrap_or(A_HANDFUL);
        assert!(tags <= limit, "{}: {tags} tags of {limit}", file.display());
    }
    println!("{total} tags");
    assert!(total < 660, "{total} tags");
}

#[test]
fn a_service_records_what_it_was_generated_from() {
    let answers = Answers::new("svc")
        .with("starter", "saas-client")
        .with("memory_profile", "balanced");
    let service = Sources::render(answers);
    let record: toml::Table = toml::from_str(service.read(".template.toml")).expect("TOML");

    assert_eq!(record["values"]["starter"].as_str(), Some("saas-client"));
    assert_eq!(
        record["values"]["memory_profile"].as_str(),
        Some("balanced")
    );
    assert_eq!(record["values"]["database"].as_str(), Some("sqlite"));
    let memory: toml::Table = toml::from_str(service.read("memory/Cargo.toml")).expect("TOML");
    assert_eq!(memory["package"]["name"].as_str(), Some("svc-memory"));
    assert_eq!(record["template"]["version"], memory["package"]["version"]);
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
        let service = Sources::render(answers);
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
