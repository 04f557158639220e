//! Regenerates `template/Cargo.lock.liquid` for every service, with the newest versions that work
//! for all of them, or with `--keep`, after a change of dependencies, with the present ones.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    env, fs,
};

use anyhow::{anyhow, Context, Result};
use template_tests::{distinct_combinations, repository, Answers, Rendered, Sources};

/// Whether a condition holds for a set of answers.
type Predicate = fn(&Answers) -> bool;

/// What a line of the lock file can depend on, as conditions in Liquid.
const CONDITIONS: [(&str, Predicate); 10] = [
    (r#"starter != "lightweight""#, |answers| {
        !is(answers, "starter", "lightweight")
    }),
    (r#"starter == "lightweight""#, |answers| {
        is(answers, "starter", "lightweight")
    }),
    (r#"starter == "saas-client""#, |answers| {
        is(answers, "starter", "saas-client")
    }),
    (r#"starter == "saas-server""#, |answers| {
        is(answers, "starter", "saas-server")
    }),
    (r#"starter != "saas-server""#, |answers| {
        !is(answers, "starter", "saas-server")
    }),
    (
        r#"starter == "saas-client" or starter == "saas-server""#,
        has_pages,
    ),
    (
        r#"starter == "lightweight" or starter == "rest-api""#,
        |answers| !has_pages(answers),
    ),
    (DESCRIBED, is_described),
    (r#"queue_kind == "Redis""#, |answers| {
        is(answers, "background", "redis")
    }),
    (r#"queue_kind != """#, |answers| {
        ["redis", "postgres", "sqlite"]
            .iter()
            .any(|queue| is(answers, "background", queue))
    }),
];

/// Any of `CONDITIONS` can be combined with this one.
const DESCRIBED: &str = r#"openapi == "true""#;

/// As `CONDITIONS`, but for prompts that are not always asked, whose conditions are nested in
/// another one.
const NESTED: [(&str, &str, Predicate); 3] = [
    (
        r#"starter == "saas-client""#,
        r#"embedded_assets == "true""#,
        |answers| is(answers, "starter", "saas-client") && is(answers, "embedded_assets", "true"),
    ),
    (
        r#"starter != "lightweight""#,
        r#"database == "postgres""#,
        |answers| is(answers, "database", "postgres"),
    ),
    (
        r#"starter != "lightweight""#,
        r#"database == "sqlite""#,
        |answers| is(answers, "database", "sqlite"),
    ),
];

/// Leaves out versions that need a newer Rust.
const RESOLVER: [(&str, &str); 1] = [("CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS", "fallback")];

/// What a package begins with in a lock file.
const PACKAGE: &str = "\n\n[[package]]\n";

/// The services that have a line, as indices into the list of all.
type Services = BTreeSet<usize>;

/// A package in the lock file, whose lines are for some of the services.
#[derive(Default)]
struct Package {
    services: Services,
    /// Name, version and source.
    head: Vec<String>,
    dependencies: BTreeMap<String, Services>,
}

fn main() -> Result<()> {
    let mut manifests = HashSet::new();
    let services: Vec<Sources> = Sources::render_all(&distinct_combinations())
        .into_iter()
        // For the memory crate, Cargo locks what any of its features needs, so one profile is
        // enough.
        .filter(|service| is(&service.answers, "memory_profile", "lean"))
        .filter(|service| manifests.insert(service.read("Cargo.toml").to_string()))
        .collect();
    let known = if env::args().any(|argument| argument == "--keep") {
        present(&services)
    } else {
        resolve_together(&services)?
    };
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    let mut header = String::new();
    for (index, service) in services.iter().enumerate() {
        let lock = resolve(&service.answers, &known)?;
        let (start, _) = lock.split_once(PACKAGE).context("an empty lock file")?;
        header = start.to_string();
        for (head, dependencies) in packages_of(&lock) {
            let package = packages.entry(head.to_string()).or_default();
            package.services.insert(index);
            package.head = head.lines().map(String::from).collect();
            for dependency in dependencies {
                let dependency = dependency.to_string();
                package
                    .dependencies
                    .entry(dependency)
                    .or_default()
                    .insert(index);
            }
        }
    }

    let is_own = |package: &&Package| !package.head.iter().any(|line| line.starts_with("source"));
    let all = packages.values();
    let (own, others): (Vec<&Package>, Vec<&Package>) = all.partition(is_own);
    let mut lock = header;
    // Where the name of the service belongs in the order is unknown: the first build moves these.
    for package in own.into_iter().chain(others) {
        lock += &render_package(package, &services)?;
    }
    let path = repository().join("template/Cargo.lock.liquid");
    fs::write(&path, with_template_names(&lock) + "\n")?;
    println!("{} packages in {}", packages.len(), path.display());
    Ok(())
}

/// The packages in a lock file: name, version and source, and the lines of the dependencies.
fn packages_of(lock: &str) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
    lock.trim_end().split(PACKAGE).skip(1).map(|package| {
        let (head, dependencies) = package
            .split_once("\ndependencies = [\n")
            .unwrap_or((package, ""));
        (head, dependencies.lines().filter(|line| *line != "]"))
    })
}

/// The packages from the registry of all present lock files, as one.
fn present(services: &[Sources]) -> String {
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for service in services {
        let lock = service.read("Cargo.lock");
        for (head, dependencies) in packages_of(lock) {
            if head.contains("\nsource = ") {
                let known = packages.entry(head.to_string()).or_default();
                known.extend(dependencies.map(String::from));
            }
        }
    }
    let mut lock = "version = 4\n".to_string();
    for (head, dependencies) in packages {
        lock += &format!("\n[[package]]\n{head}\n");
        if !dependencies.is_empty() {
            let lines: Vec<String> = dependencies.into_iter().collect();
            lock += &format!("dependencies = [\n{}\n]\n", lines.join("\n"));
        }
    }
    lock
}

/// Locks a workspace with a member for each manifest, so that Cargo chooses versions that suit all.
fn resolve_together(services: &[Sources]) -> Result<String> {
    let workspace = tempfile::tempdir()?;
    let mut members = Vec::new();
    for (index, service) in services.iter().enumerate() {
        let name = format!("svc-{index}");
        let service = service
            .answers
            .clone()
            .named(&name)
            .render_into(workspace.path())?;
        let manifest = fs::read_to_string(service.join("Cargo.toml"))?.replace("[workspace]\n", "");
        let (packages, _profiles) = manifest.split_once("[profile").unwrap_or((&manifest, ""));
        fs::write(service.join("Cargo.toml"), packages)?;
        members.push(format!("\"{name}\""));
    }
    fs::write(
        workspace.path().join("Cargo.toml"),
        format!(
            "[workspace]\nresolver = \"2\"\nmembers = [{}]\n",
            members.join(", ")
        ),
    )?;
    let workspace = Rendered::at(workspace.path().to_path_buf());
    workspace.run_with(&["generate-lockfile"], &RESOLVER)?;
    Ok(workspace.read("Cargo.lock"))
}

/// The lock file of one service, as completed by Cargo.
fn resolve(answers: &Answers, known: &str) -> Result<String> {
    let service = answers.clone().named("svc").render()?;
    fs::write(service.root().join("Cargo.lock"), known)?;
    service.run_with(&["metadata", "--quiet", "--format-version", "1"], &RESOLVER)?;
    Ok(service.read("Cargo.lock"))
}

fn render_package(package: &Package, services: &[Sources]) -> Result<String> {
    let mut lines = vec![String::new(), "[[package]]".to_string()];
    lines.extend(package.head.iter().cloned());
    let mut text = format!("\n{}", lines.join("\n"));
    if !package.dependencies.is_empty() {
        let with_any = package.dependencies.values().flatten().copied().collect();
        let within = |lines: &str, part: &Services| {
            within_condition(lines, part, &package.services, services)
        };
        text += &within("\ndependencies = [", &with_any)?;
        let mut dependencies: Vec<(&String, &Services)> = package.dependencies.iter().collect();
        // Cargo sorts a name without a version before the same name with one.
        dependencies.sort_by_key(|(line, _)| line.trim_end_matches("\",").to_string());
        for lines in dependencies.chunk_by(|one, other| one.1 == other.1) {
            let text_of_lines: String = lines.iter().map(|(line, _)| format!("\n{line}")).collect();
            text += &within(&text_of_lines, lines[0].1)?;
        }
        text += &within("\n]", &with_any)?;
    }
    let all = (0..services.len()).collect();
    within_condition(&text, &package.services, &all, services)
}

/// Lines that only some of the services in `whole` have, within the condition for these services.
fn within_condition(
    lines: &str,
    part: &Services,
    whole: &Services,
    services: &[Sources],
) -> Result<String> {
    if part == whole {
        return Ok(lines.to_string());
    }
    let is_for_part = |holds: &dyn Fn(&Answers) -> bool| {
        whole
            .iter()
            .all(|index| holds(&services[*index].answers) == part.contains(index))
    };
    let nested = |outer: &str, inner: &str| {
        format!("\n{{%- if {outer} %}}\n{{%- if {inner} %}}{lines}\n{{%- endif %}}\n{{%- endif %}}")
    };
    for (condition, holds) in CONDITIONS {
        if is_for_part(&holds) {
            return Ok(format!("\n{{%- if {condition} %}}{lines}\n{{%- endif %}}"));
        }
    }
    for (condition, holds) in CONDITIONS {
        if is_for_part(&|answers| holds(answers) || is_described(answers)) {
            return Ok(format!(
                "\n{{%- if {condition} or {DESCRIBED} %}}{lines}\n{{%- endif %}}"
            ));
        }
    }
    for (condition, holds) in CONDITIONS {
        if is_for_part(&|answers| holds(answers) && is_described(answers)) {
            return Ok(nested(DESCRIBED, condition));
        }
    }
    for (outer, inner, holds) in NESTED {
        if is_for_part(&holds) {
            return Ok(nested(outer, inner));
        }
    }
    let services: Vec<&Answers> = part.iter().map(|index| &services[*index].answers).collect();
    Err(anyhow!("no condition puts{lines}\ninto only {services:?}"))
}

fn with_template_names(lock: &str) -> String {
    let mut lock = lock.replace("\"svc\"", "\"{{project-name}}\"");
    for part in ["memory", "migration"] {
        lock = lock.replace(
            &format!("\"svc-{part}\""),
            &format!("\"{{{{project-name}}}}-{part}\""),
        );
    }
    lock
}

fn is(answers: &Answers, prompt: &str, value: &str) -> bool {
    answers.get(prompt) == Some(value)
}

fn is_described(answers: &Answers) -> bool {
    is(answers, "openapi", "true")
}

fn has_pages(answers: &Answers) -> bool {
    is(answers, "starter", "saas-client") || is(answers, "starter", "saas-server")
}
