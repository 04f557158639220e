//! Fast tier: the files for production, for every starter, database and queue.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::OnceLock,
};

use serde_yaml_ng::Value;
use template_tests::{
    all_combinations,
    dockerfile::{is_ignored, stages},
    Answers, Rendered, Sources,
};

const CLIPPY: &str = "cargo clippy --locked --all-targets -- -D warnings";
const QUEUES: [&str; 3] = ["redis", "postgres", "sqlite"];

/// Each starter with each database, queue and way to serve assets, alternately with and without
/// jemalloc: the other answers make no difference to these files.
fn services() -> &'static [(Answers, Sources)] {
    static SERVICES: OnceLock<Vec<(Answers, Sources)>> = OnceLock::new();
    SERVICES.get_or_init(|| {
        let of_profile = |profile: &'static str| {
            all_combinations().into_iter().filter(move |answers| {
                answers.get("memory_profile") == Some(profile)
                    && answers.get("memory_metrics") != Some("false")
                    && answers.get("heap_profiling") != Some("true")
                    && answers.get("traces") != Some("true")
                    && answers.get("openapi") != Some("true")
            })
        };
        of_profile("balanced")
            .zip(of_profile("system"))
            .enumerate()
            .map(|(index, (balanced, system))| {
                let answers = if index % 2 == 0 { balanced } else { system };
                (answers.clone(), Sources::render(answers))
            })
            .collect()
    })
}

fn has_queue(answers: &Answers) -> bool {
    answers
        .get("background")
        .is_some_and(|background| QUEUES.contains(&background))
}

/// Whether the service has the memory listener.
fn has_memory_listener(answers: &Answers) -> bool {
    answers.get("memory_profile") != Some("system")
}

fn needs(answers: &Answers, server: &str) -> bool {
    answers.get("database") == Some(server) || answers.get("background") == Some(server)
}

fn yaml(service: &Sources, path: impl AsRef<Path>) -> Value {
    let mut value: Value = serde_yaml_ng::from_str(service.read(&path)).expect("one YAML document");
    value.apply_merge().expect("merge keys");
    value
}

fn toml(service: &Sources, path: &str) -> toml::Table {
    toml::from_str(service.read(path)).expect("TOML")
}

/// The Kubernetes objects by kind and name.
fn objects(service: &Sources) -> BTreeMap<(String, String), Value> {
    service
        .files()
        .filter(|(file, _)| file.starts_with("deploy/kubernetes/base"))
        .filter(|(file, _)| {
            file.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .filter(|(file, _)| !file.ends_with("kustomization.yaml"))
        .flat_map(|(_, text)| text.split("\n---\n"))
        .map(|text| {
            let object: Value = serde_yaml_ng::from_str(text).expect("a YAML document");
            let text = |value: &Value| value.as_str().expect("text").to_string();
            (
                (text(&object["kind"]), text(&object["metadata"]["name"])),
                object,
            )
        })
        .collect()
}

/// The pod specs by component.
fn pods(service: &Sources) -> BTreeMap<String, Value> {
    objects(service)
        .into_iter()
        .filter(|((kind, _), _)| kind == "Deployment")
        .map(|((_, name), object)| {
            let component = name.strip_prefix("svc-").expect("the service's name first");
            (
                component.to_string(),
                object["spec"]["template"]["spec"].clone(),
            )
        })
        .collect()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value
        .as_mapping()
        .map(|mapping| {
            mapping
                .keys()
                .map(|key| key.as_str().expect("text").to_string())
                .collect()
        })
        .unwrap_or_default()
}

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_sequence()
        .map(|items| items.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

/// The variables without a default that `config/production.yaml` reads from the environment.
fn required_variables(service: &Sources) -> BTreeSet<String> {
    variables(service, ")")
}

/// The variables with a default that `config/production.yaml` reads from the environment.
fn optional_variables(service: &Sources) -> BTreeSet<String> {
    variables(service, ", default=")
}

/// The variables that `config/production.yaml` reads from the environment, with `then` after the
/// name.
fn variables(service: &Sources, then: &str) -> BTreeSet<String> {
    service
        .read("config/production.yaml")
        .split("get_env(name=\"")
        .skip(1)
        .filter_map(|rest| {
            let (name, rest) = rest.split_once('"')?;
            rest.starts_with(then).then(|| name.to_string())
        })
        .collect()
}

#[test]
fn every_file_that_is_copied_into_an_image_exists() {
    for (answers, service) in services() {
        let dockerignore = service.read(".dockerignore");
        let stages = stages(service.read("Dockerfile"));
        for (index, stage) in stages.iter().enumerate() {
            for copy in stage.copies() {
                for source in &copy.sources {
                    let Some(from) = &copy.from else {
                        assert!(
                            service.has(source) && !is_ignored(dockerignore, Path::new(source)),
                            "{answers:?}: COPY {source}"
                        );
                        continue;
                    };
                    let earlier = stages[..index]
                        .iter()
                        .find(|stage| stage.name.as_ref() == Some(from))
                        .unwrap_or_else(|| panic!("{answers:?}: no stage {from} before"));
                    let created_by = match source.as_str() {
                        "/usr/src/recipe.json" => "cargo chef prepare --recipe-path recipe.json",
                        "/usr/src/target/release/svc-cli" => {
                            "cargo build --locked --release --bin svc-cli"
                        }
                        "/usr/src/frontend/dist" => "npm run build",
                        // Part of the base image of the stage.
                        "/etc/ssl/certs/ca-certificates.crt" => continue,
                        _ => panic!("{answers:?}: nothing creates {source}"),
                    };
                    assert!(earlier.all("RUN").any(|run| run == created_by), "{source}");
                }
            }
        }
    }
}

#[test]
fn embedded_assets_are_there_when_the_binary_is_built() {
    for (answers, service) in services() {
        let stages = stages(service.read("Dockerfile"));
        let builder = stages
            .iter()
            .find(|stage| stage.name.as_deref() == Some("builder"))
            .expect("a builder");
        let position = |wanted: &str| {
            builder
                .instructions
                .iter()
                .position(|(_, arguments)| arguments.starts_with(wanted))
        };
        let step = match (answers.get("embedded_assets"), answers.get("starter")) {
            // Otherwise cargo would reuse Loco from the layer of the dependencies, which has no
            // assets.
            (Some("true"), Some("saas-server")) => "touch assets",
            (Some("true"), Some("saas-client")) => "--from=frontend /usr/src/frontend/dist",
            _ => continue,
        };
        let (sources, step) = (position(". ."), position(step));
        assert!(step.is_some() && sources < step, "{answers:?}");
        assert!(step < position("cargo build"), "{answers:?}");
    }
}

#[test]
fn an_image_has_what_the_service_reads_at_run_time() {
    for (answers, service) in services() {
        let stages = stages(service.read("Dockerfile"));
        let image = stages.last().expect("a stage");
        let copied: BTreeSet<String> = image.copies().map(|copy| copy.destination).collect();
        let apart = answers.get("embedded_assets") == Some("false");
        let starter = answers.get("starter").expect("a starter");

        assert!(copied.contains("config"), "{answers:?}");
        assert_eq!(copied.contains("assets"), apart && starter == "saas-server");
        assert_eq!(
            copied.contains("frontend/dist"),
            apart && starter == "saas-client"
        );
    }
}

#[test]
fn an_image_is_built_with_the_profile_and_the_tested_versions_in_a_layer_for_the_dependencies() {
    for (answers, service) in services() {
        let dockerignore = service.read(".dockerignore");
        for needed in [
            ".cargo/config.toml",
            "Cargo.lock",
            "src/app.rs",
            "config/production.yaml",
        ] {
            assert!(
                !is_ignored(dockerignore, Path::new(needed)),
                "{answers:?}: {needed}"
            );
        }
        for secret in [
            ".env",
            "config/local.yaml",
            "config/production.local.yaml",
            ".git/config",
        ] {
            assert!(
                is_ignored(dockerignore, Path::new(secret)),
                "{answers:?}: {secret}"
            );
        }

        let stages = stages(service.read("Dockerfile"));
        let builder = stages
            .iter()
            .find(|stage| stage.name.as_deref() == Some("builder"))
            .expect("a builder");
        let position = |wanted: &str| {
            builder
                .instructions
                .iter()
                .position(|(_, arguments)| arguments.starts_with(wanted))
                .unwrap_or_else(|| panic!("{answers:?}: no {wanted}"))
        };
        let dependencies = position("cargo chef cook --locked");
        let sources = position(". .");
        let service_itself = position("cargo build --locked");
        assert!(
            dependencies < sources && sources < service_itself,
            "{answers:?}"
        );
    }
}

/// `rust` and `1.95-trixie` of `rust:1.95-trixie`.
fn image_and_tag(image: &str) -> (&str, &str) {
    image
        .split_once(':')
        .unwrap_or_else(|| panic!("{image} has no tag"))
}

#[test]
fn images_are_pinned_and_have_the_rust_version_of_ci() {
    let manifest = template_tests::repository().join("tests/Cargo.toml");
    let manifest: toml::Table =
        toml::from_str(&std::fs::read_to_string(manifest).expect("tests/Cargo.toml"))
            .expect("a manifest");
    let rust = manifest["package"]["rust-version"]
        .as_str()
        .expect("a version");

    for (answers, service) in services() {
        let stages = stages(service.read("Dockerfile"));
        let named: BTreeSet<&str> = stages
            .iter()
            .filter_map(|stage| stage.name.as_deref())
            .collect();
        for stage in &stages {
            if named.contains(stage.base.as_str()) {
                continue;
            }
            match image_and_tag(&stage.base) {
                ("rust", tag) => assert_eq!(tag, format!("{rust}-trixie"), "{answers:?}"),
                ("node", tag) => assert_eq!(tag, "24-trixie-slim", "{answers:?}"),
                ("debian", tag) => assert_eq!(tag, "trixie-slim", "{answers:?}"),
                (other, _) => panic!("{answers:?}: {other}"),
            }
        }
        let workflow = service.read(".github/workflows/ci.yaml");
        assert!(workflow.contains("- run: rustup toolchain install\n"));
        let toolchain = toml(service, "rust-toolchain.toml");
        let channel = toolchain["toolchain"]["channel"].as_str();
        assert_eq!(channel, Some(format!("{rust}.0").as_str()));
        let oldest = &toml(service, "Cargo.toml")["package"]["rust-version"];
        assert_eq!(oldest.as_str(), Some(rust), "{answers:?}");
        if answers.get("starter") == Some("saas-client") {
            assert!(workflow.contains("node-version: 24\n"), "{answers:?}");
        }
        let compose = yaml(service, "compose.yaml");
        for (name, part) in compose["services"].as_mapping().expect("services") {
            let image = part["image"].as_str().expect("an image");
            if !is_own(part) {
                let (_, tag) = image_and_tag(image);
                assert!(
                    tag.starts_with(|c: char| c.is_ascii_digit()),
                    "{name:?}: {image}"
                );
            }
        }
    }
}

#[test]
fn an_image_starts_the_binary_of_the_service_as_an_unprivileged_user() {
    for (answers, service) in services() {
        let manifest = toml(service, "Cargo.toml");
        let binary = manifest["package"]["default-run"]
            .as_str()
            .expect("a binary");
        let stages = stages(service.read("Dockerfile"));
        let image = stages.last().expect("a stage");
        let only = |keyword: &str| -> String {
            let all: Vec<&str> = image.all(keyword).collect();
            assert_eq!(all.len(), 1, "{answers:?}: {keyword}");
            all[0].to_string()
        };

        let (user, group) = {
            let user = only("USER");
            let (user, group) = user.split_once(':').expect("a group");
            (user.parse::<u32>(), group.parse::<u32>())
        };
        assert!(matches!((user, group), (Ok(1..), Ok(1..))), "{answers:?}");
        assert_eq!(only("WORKDIR"), "/usr/app");
        assert_eq!(only("ENV"), "LOCO_ENV=production");
        // In exec form, so that SIGTERM reaches the service and not a shell.
        let entrypoint: Vec<String> = serde_json::from_str(&only("ENTRYPOINT")).expect("exec form");
        assert_eq!(entrypoint, [format!("/usr/app/{binary}")], "{answers:?}");
        let command: Vec<String> = serde_json::from_str(&only("CMD")).expect("exec form");
        assert_eq!(command, ["start", "--no-banner"]);
        assert!(only("HEALTHCHECK").contains("GET /_health "));
        // What the service writes is in folders that this user owns.
        let prefix = "install --directory --owner=10001 --group=10001 ";
        let mut folders: Vec<&str> = Vec::new();
        if answers.get("memory_profile") != Some("system") {
            folders.push("black_box");
        }
        if needs(answers, "sqlite") {
            folders.push("data");
        }
        let created: Vec<&str> = image
            .all("RUN")
            .filter_map(|run| run.strip_prefix(prefix))
            .flat_map(|folders| folders.split(' '))
            .collect();
        assert_eq!(created, folders, "{answers:?}");
    }
}

#[test]
fn compose_publishes_only_the_web_process_and_only_on_this_machine() {
    for (answers, service) in services() {
        let compose = yaml(service, "compose.yaml");
        let mut expected = vec!["127.0.0.1:5150:5150"];
        expected.extend(has_memory_listener(answers).then_some("127.0.0.1:5151:5151"));
        for (name, part) in compose["services"].as_mapping().expect("services") {
            let ports = texts(&part["ports"]);
            if name == "web" {
                assert_eq!(ports, expected, "{answers:?}");
            } else {
                assert!(
                    part.get("ports").is_none(),
                    "{answers:?}: {name:?} {ports:?}"
                );
            }
            assert_ne!(part["network_mode"], "host", "{answers:?}: {name:?}");
        }
    }
}

/// Whether a part of `compose.yaml` runs the service's own image.
fn is_own(part: &Value) -> bool {
    part["image"] == "svc"
}

#[test]
fn compose_builds_the_image_once_and_never_pulls_it() {
    for (answers, service) in services() {
        let compose = yaml(service, "compose.yaml");
        for (name, part) in compose["services"].as_mapping().expect("services") {
            assert_eq!(part.get("build").is_some(), name == "web", "{answers:?}");
            assert_eq!(part["pull_policy"] == "never", is_own(part), "{answers:?}");
        }
    }
}

/// Settings with a default that compose.yaml replaces.
const SET_BY_COMPOSE: [&str; 6] = [
    "BEHIND_PROXY",
    "DB_AUTO_MIGRATE",
    "HEARTBEAT_FILE",
    "MEMORY_ADMIN_BIND",
    "MEMORY_ADMIN_TOKEN",
    "MEMORY_BLACK_BOX",
];

#[test]
fn compose_passes_on_the_settings_of_the_env_file() {
    for (answers, service) in services() {
        let compose = yaml(service, "compose.yaml");
        for (name, part) in compose["services"].as_mapping().expect("services") {
            if !is_own(part) {
                continue;
            }
            let file = &part["env_file"][0];
            assert_eq!(file["path"], ".env", "{answers:?}: {name:?}");
            assert_eq!(file["required"], false, "{answers:?}: {name:?}");
            // Under `environment`, it would override the setting in the file.
            for optional in optional_variables(service) {
                let value = part["environment"].get(optional.as_str());
                assert!(
                    value.is_none() || SET_BY_COMPOSE.contains(&optional.as_str()),
                    "{answers:?}: {name:?}: {optional}"
                );
            }
        }
    }
}

#[test]
fn the_memory_listener_is_opened_only_with_a_token() {
    for (answers, service) in services() {
        let compose = yaml(service, "compose.yaml");
        let of = |name: &str| compose["services"]["web"]["environment"][name].as_str();
        let settings = service.read("deploy/kubernetes/base/settings.env");
        let given = names(settings);

        let expected =
            has_memory_listener(answers).then_some("${MEMORY_ADMIN_TOKEN:+0.0.0.0:5151}");
        assert_eq!(of("MEMORY_ADMIN_BIND"), expected, "{answers:?}");
        let expected = has_memory_listener(answers).then_some("${MEMORY_ADMIN_TOKEN:-}");
        assert_eq!(of("MEMORY_ADMIN_TOKEN"), expected, "{answers:?}");
        assert!(!given.contains("MEMORY_ADMIN_BIND"), "{answers:?}");
        assert_eq!(
            settings.contains("# MEMORY_ADMIN_BIND=0.0.0.0:5151")
                && secrets(service).contains("MEMORY_ADMIN_TOKEN"),
            has_memory_listener(answers),
            "{answers:?}"
        );
    }
}

#[test]
fn compose_starts_each_process_once_what_it_needs_is_healthy() {
    for (answers, service) in services() {
        let compose = yaml(service, "compose.yaml");
        let parts = &compose["services"];
        let mut expected = BTreeSet::from(["web"]);
        expected.extend(has_queue(answers).then_some("worker"));
        if answers.get("starter") != Some("lightweight") {
            expected.extend(["migrate", "scheduler"]);
        }
        expected.extend(needs(answers, "postgres").then_some("postgres"));
        expected.extend(needs(answers, "redis").then_some("redis"));
        assert_eq!(
            keys(parts),
            expected.into_iter().map(String::from).collect(),
            "{answers:?}"
        );

        let servers: BTreeSet<String> = ["postgres", "redis"]
            .into_iter()
            .filter(|server| needs(answers, server))
            .map(String::from)
            .collect();
        if let Some(migrate) = parts.get("migrate") {
            assert_eq!(keys(&migrate["depends_on"]), servers, "{answers:?}");
            assert_eq!(texts(&migrate["command"]), ["db", "migrate"]);
            assert_eq!(
                keys(&parts["web"]["depends_on"]),
                ["migrate".to_string()].into()
            );
        }
        for (name, part) in parts.as_mapping().expect("services") {
            for needed in keys(&part["depends_on"]) {
                let condition = &part["depends_on"][needed.as_str()]["condition"];
                let ends = needed == "migrate";
                assert_eq!(
                    condition == "service_completed_successfully",
                    ends,
                    "{answers:?}: {name:?} on {needed}"
                );
                // The health check of the image itself is that of the web process.
                assert!(
                    ends || needed == "web"
                        || !texts(&parts[needed.as_str()]["healthcheck"]["test"]).is_empty(),
                    "{answers:?}: {needed} has no health check"
                );
            }
            assert_eq!(
                part["healthcheck"]["disable"].as_bool(),
                (name == "migrate").then_some(true),
                "{answers:?}: {name:?}"
            );
            if name == "worker" || name == "scheduler" {
                let check = texts(&part["healthcheck"]["test"]).join(" ");
                let file = part["environment"]["HEARTBEAT_FILE"].as_str();
                let file = file.expect("a heartbeat");
                assert!(check.contains(file), "{answers:?}: {name:?}: {check}");
            }
            let restart = if name == "migrate" {
                "no"
            } else {
                "unless-stopped"
            };
            assert_eq!(part["restart"], restart, "{answers:?}: {name:?}");
            // This driver rotates its files.
            assert_eq!(part["logging"]["driver"], "local", "{answers:?}: {name:?}");
        }
        if let Some(worker) = parts.get("worker") {
            assert_eq!(
                texts(&worker["command"]),
                ["start", "--worker", "--no-banner"]
            );
        }
        if let Some(scheduler) = parts.get("scheduler") {
            assert_eq!(texts(&scheduler["command"]), ["scheduler"]);
            // The only signal that Loco's scheduler handles; as process 1 it would ignore any
            // other.
            assert_eq!(scheduler["stop_signal"], "SIGINT");
        }
    }
}

#[test]
fn compose_limits_memory_and_privileges_and_keeps_the_data() {
    for (answers, service) in services() {
        let compose = yaml(service, "compose.yaml");
        let volumes = keys(&compose["volumes"]);
        let has_black_box = answers.get("memory_profile") != Some("system");
        for (name, part) in compose["services"].as_mapping().expect("services") {
            let limit = part["mem_limit"].as_str().expect("a memory limit");
            assert!(limit.ends_with('m'), "{answers:?}: {name:?}: {limit}");
            // The limit is meant for as many threads as there are CPUs.
            assert!(!is_own(part) || part["cpus"] == 2, "{answers:?}: {name:?}");
            for volume in texts(&part["volumes"]) {
                let (volume, _) = volume.split_once(':').expect("a path");
                assert!(volumes.contains(volume), "{answers:?}: {name:?}: {volume}");
            }
            if is_own(part) {
                assert_eq!(part["read_only"], true, "{answers:?}: {name:?}");
                assert_eq!(texts(&part["cap_drop"]), ["ALL"], "{answers:?}: {name:?}");
                assert_eq!(texts(&part["security_opt"]), ["no-new-privileges:true"]);
                let mounted = texts(&part["volumes"]);
                for (volume, is_expected) in [
                    ("data:/usr/app/data", needs(answers, "sqlite")),
                    ("black_box:/usr/app/black_box", has_black_box),
                ] {
                    assert_eq!(
                        mounted.contains(&volume),
                        is_expected,
                        "{answers:?}: {name:?}"
                    );
                }
            }
        }
        let written = [
            ("data", "sqlite"),
            ("postgres", "postgres"),
            ("redis", "redis"),
        ];
        let expected: BTreeSet<String> = written
            .into_iter()
            .filter(|(_, server)| needs(answers, server))
            .map(|(volume, _)| volume.to_string())
            .chain(has_black_box.then(|| "black_box".to_string()))
            .collect();
        assert_eq!(volumes, expected, "{answers:?}");
    }
}

#[test]
fn a_container_has_every_variable_that_the_service_requires() {
    for (answers, service) in services() {
        let required = required_variables(service);
        assert!(required.contains("HOST"), "{answers:?}");

        let compose = yaml(service, "compose.yaml");
        for (name, part) in compose["services"].as_mapping().expect("services") {
            if is_own(part) {
                let missing: Vec<_> = required
                    .difference(&keys(&part["environment"]))
                    .cloned()
                    .collect();
                assert!(
                    missing.is_empty(),
                    "{answers:?}: {name:?} lacks {missing:?}"
                );
            }
        }

        let mut given = names(service.read("deploy/kubernetes/base/settings.env"));
        let overlay = yaml(
            service,
            "deploy/kubernetes/overlays/one-node/kustomization.yaml",
        );
        let literals = &overlay["configMapGenerator"][0]["literals"];
        given.extend(texts(literals).into_iter().flat_map(names));
        given.extend(secrets(service));
        let missing: Vec<_> = required.difference(&given).collect();
        assert!(
            missing.is_empty(),
            "{answers:?}: Kubernetes lacks {missing:?}"
        );
        for (component, pod) in pods(service) {
            let from = &pod["containers"][0]["envFrom"];
            assert_eq!(
                from[0]["configMapRef"]["name"], "svc",
                "{answers:?}: {component}"
            );
            assert_eq!(
                from[1]["secretRef"]["name"], "svc",
                "{answers:?}: {component}"
            );
            assert_eq!(
                from[1]["secretRef"]["optional"].as_bool(),
                (answers.get("starter") == Some("lightweight")).then_some(true),
                "{answers:?}: {component}"
            );
        }
    }
}

/// The names in lines of `NAME=value`.
fn names(settings: &str) -> BTreeSet<String> {
    settings
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once('=')?.0.to_string()))
        .collect()
}

/// The names that the command in README.md puts into the Secret.
fn secrets(service: &Sources) -> BTreeSet<String> {
    service
        .read("README.md")
        .split("--from-literal=")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('=')?.0.to_string()))
        .collect()
}

#[test]
fn no_file_contains_a_secret() {
    for (answers, service) in services() {
        let compose = service.read("compose.yaml");
        for line in compose.lines().map(str::trim) {
            let Some((name, value)) = line.split_once(": ") else {
                continue;
            };
            if name.ends_with("PASSWORD") || name.ends_with("SECRET") || name.ends_with("USER") {
                assert!(
                    value.starts_with(&format!("${{{name}:?")) || name == "POSTGRES_USER",
                    "{answers:?}: {line}"
                );
            }
            if value.starts_with("postgres://") {
                assert!(
                    value.starts_with("postgres://svc:${POSTGRES_PASSWORD:?"),
                    "{line}"
                );
            }
        }
        for ((kind, name), _) in objects(service) {
            assert_ne!(kind, "Secret", "{answers:?}: {name}");
        }
    }
}

#[test]
fn kubernetes_runs_several_processes_unless_the_data_is_in_files() {
    for (answers, service) in services() {
        let pods = pods(service);
        let objects = objects(service);
        let web = &objects[&("Deployment".to_string(), "svc-web".to_string())]["spec"];
        let replicas = web["replicas"].as_u64();
        let several = "deploy/kubernetes/overlays/several-nodes/kustomization.yaml";
        let args = texts(&pods["web"]["containers"][0]["args"]);
        let claim = objects.contains_key(&("PersistentVolumeClaim".to_string(), "svc".to_string()));
        let components: Vec<&str> = pods.keys().map(String::as_str).collect();

        if needs(answers, "sqlite") {
            assert_eq!((replicas, claim), (Some(1), true), "{answers:?}");
            assert!(!service.has(several), "{answers:?}");
            assert_eq!(web["strategy"]["type"], "Recreate", "{answers:?}");
            assert_eq!(args, ["start", "--all", "--no-banner"], "{answers:?}");
            assert_eq!(components, ["web"], "{answers:?}");
            // Without it, root owns the volume, and the user of the service cannot write to it.
            assert_eq!(
                pods["web"]["securityContext"]["fsGroup"], 10001,
                "{answers:?}"
            );
        } else {
            assert_eq!((replicas, claim), (None, false), "{answers:?}");
            let mut scaled: Vec<&str> = vec!["svc-web"];
            scaled.extend(has_queue(answers).then_some("svc-worker"));
            let several = yaml(service, several);
            let replicas = several["replicas"].as_sequence().expect("replicas");
            let names: Vec<&str> = replicas
                .iter()
                .filter_map(|one| one["name"].as_str())
                .collect();
            assert_eq!(names, scaled, "{answers:?}");
            assert_eq!(args, ["start", "--no-banner"], "{answers:?}");
            let mut expected = vec!["web"];
            expected.extend((answers.get("starter") != Some("lightweight")).then_some("scheduler"));
            expected.extend(has_queue(answers).then_some("worker"));
            expected.sort_unstable();
            assert_eq!(components, expected, "{answers:?}");
        }
    }
}

#[test]
fn kubernetes_limits_memory_and_privileges_and_probes_the_service() {
    for (answers, service) in services() {
        let compose = yaml(service, "compose.yaml");
        let limit = compose["services"]["web"]["mem_limit"]
            .as_str()
            .expect("a limit");
        for (component, pod) in pods(service) {
            let container = &pod["containers"][0];
            assert_eq!(
                pod["securityContext"]["runAsNonRoot"], true,
                "{answers:?}: {component}"
            );
            let security_context = &container["securityContext"];
            assert_eq!(
                security_context["allowPrivilegeEscalation"], false,
                "{answers:?}: {component}"
            );
            assert_eq!(
                security_context["readOnlyRootFilesystem"], true,
                "{answers:?}: {component}"
            );
            assert_eq!(texts(&security_context["capabilities"]["drop"]), ["ALL"]);
            let resources = &container["resources"];
            assert_eq!(resources["limits"]["memory"], limit.replace('m', "Mi"));
            assert_eq!(resources["limits"]["cpu"], 2, "{answers:?}: {component}");
            assert!(
                resources["requests"]["memory"].is_string(),
                "{answers:?}: {component}"
            );
            let mounted: BTreeSet<&str> = container["volumeMounts"]
                .as_sequence()
                .expect("mounts")
                .iter()
                .filter_map(|mount| mount["name"].as_str())
                .collect();
            let volumes: BTreeSet<&str> = pod["volumes"]
                .as_sequence()
                .expect("volumes")
                .iter()
                .filter_map(|volume| volume["name"].as_str())
                .collect();
            assert_eq!(mounted, volumes, "{answers:?}: {component}");

            let path = |probe: &str| container[probe]["httpGet"]["path"].as_str();
            let serves = component == "web";
            assert_eq!(path("livenessProbe"), serves.then_some("/_health"));
            assert_eq!(path("startupProbe"), serves.then_some("/_health"));
            assert_eq!(path("readinessProbe"), serves.then_some("/_readiness"));
            let beats = container["livenessProbe"]["exec"]["command"].is_sequence();
            assert_eq!(beats, !serves, "{answers:?}: {component}");
            // The migrations run before a job uses the tables.
            let before = &pod["initContainers"][0]["args"];
            let migrates = texts(before) == ["db", "migrate"];
            assert_eq!(
                migrates,
                !serves || needs(answers, "sqlite"),
                "{answers:?}: {component}"
            );
        }
    }
}

#[test]
fn kubernetes_finds_the_pods_by_their_labels() {
    for (answers, service) in services() {
        for ((kind, name), object) in objects(service) {
            let labels = &object["spec"]["template"]["metadata"]["labels"];
            match kind.as_str() {
                "Deployment" => {
                    assert_eq!(&object["spec"]["selector"]["matchLabels"], labels, "{name}");
                    assert!(!keys(labels).is_empty(), "{answers:?}: {name}");
                }
                "Service" => {
                    let web = ("Deployment".to_string(), "svc-web".to_string());
                    assert_eq!(
                        object["spec"]["selector"],
                        objects(service)[&web]["spec"]["template"]["metadata"]["labels"]
                    );
                }
                _ => {}
            }
        }
    }
}

/// The commands that a workflow runs.
fn commands(workflow: &Value) -> Vec<String> {
    let jobs = workflow["jobs"].as_mapping().expect("jobs");
    jobs.values()
        .flat_map(|job| job["steps"].as_sequence().expect("steps"))
        .filter_map(|step| step["run"].as_str())
        .map(String::from)
        .collect()
}

#[test]
fn ci_formats_lints_and_tests_with_what_the_service_needs() {
    for (answers, service) in services() {
        let workflow = yaml(service, ".github/workflows/ci.yaml");
        assert_eq!(workflow["permissions"]["contents"], "read", "{answers:?}");
        assert_eq!(keys(&workflow["permissions"]).len(), 1, "{answers:?}");
        assert_eq!(
            workflow["concurrency"]["group"],
            "${{ github.workflow }}-${{ github.ref }}"
        );

        let commands = commands(&workflow);
        let runs = |wanted: &str| commands.iter().any(|command| command == wanted);
        assert!(runs("cargo fmt --all --check"), "{commands:?}");
        assert!(runs(CLIPPY), "{commands:?}");
        assert!(runs("cargo test --locked"), "{commands:?}");
        assert!(
            runs("cargo test --locked --release --test mod memory"),
            "{commands:?}"
        );
        for command in ["npm ci", "npm run lint", "npm test", "npm run build"] {
            let has_frontend = answers.get("starter") == Some("saas-client");
            assert_eq!(runs(command), has_frontend, "{answers:?}: {command}");
        }

        let servers: BTreeSet<String> = ["postgres", "redis"]
            .into_iter()
            .filter(|server| needs(answers, server))
            .map(String::from)
            .collect();
        assert_eq!(
            keys(&workflow["jobs"]["test"]["services"]),
            servers,
            "{answers:?}"
        );
        assert_eq!(
            workflow["jobs"]["test"]["env"]
                .get("TEST_DATABASE_URL")
                .is_some(),
            answers.get("database") == Some("postgres"),
            "{answers:?}"
        );
    }
}

#[test]
fn files_for_production_are_left_to_the_workspace_of_a_service() {
    let workspace = tempfile::tempdir().expect("a directory");
    let manifest = workspace.path().join("Cargo.toml");
    std::fs::write(manifest, "[workspace]\nmembers = []\nresolver = \"2\"\n").expect("a manifest");

    let root = Answers::new("svc")
        .render_into(workspace.path())
        .expect("the answers render");

    let service = Rendered::at(root);
    for file in [
        "Dockerfile",
        ".dockerignore",
        "compose.yaml",
        "deploy",
        ".github",
    ] {
        assert!(!service.has(file), "{file}");
    }
    let agents = service.read("AGENTS.md");
    for file in ["compose.yaml", ".github"] {
        assert!(!agents.contains(file), "{agents}");
    }
}
