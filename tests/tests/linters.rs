//! Third-party linters and schemas, on generated files and on the template's own workflow. The
//! tools are those of `tests/linters.txt`, in PATH; without them these tests are skipped with a
//! notice, and fail in CI.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_yaml_ng::Value;
use template_tests::{needs, repository, Answers, Rendered};

/// Services that differ as much as they can: between them they have every line that an answer adds
/// to these files.
fn services() -> Vec<Rendered> {
    [
        vec![("starter", "lightweight"), ("memory_profile", "system")],
        vec![("starter", "lightweight")],
        vec![],
        vec![
            ("starter", "saas-server"),
            ("embedded_assets", "true"),
            ("background", "postgres"),
        ],
        vec![
            ("starter", "saas-server"),
            ("database", "postgres"),
            ("background", "sqlite"),
        ],
        vec![
            ("starter", "saas-client"),
            ("database", "postgres"),
            ("background", "redis"),
        ],
        vec![
            ("starter", "saas-client"),
            ("embedded_assets", "true"),
            ("database", "postgres"),
            ("background", "postgres"),
            ("memory_profile", "aggressive"),
        ],
    ]
    .into_iter()
    .map(|answers| {
        answers
            .into_iter()
            .fold(Answers::new("svc"), |answers, (prompt, value)| {
                answers.with(prompt, value)
            })
            .render()
            .expect("the answers render")
    })
    .collect()
}

/// Runs a tool, if it is installed.
fn run(directory: &Path, tool: &str, args: &[&str]) -> Option<Output> {
    needs::program(tool).then(|| {
        Command::new(tool)
            .args(args)
            .current_dir(directory)
            .output()
            .expect("it runs")
    })
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The tool accepts the file as generated, and rejects it with one line changed: otherwise, a
/// linter that accepts everything would go unnoticed.
fn check(file: &str, tool: &str, args: &[&str], replace: &str, with: &str) {
    for service in services() {
        let args: Vec<&str> = args.iter().copied().chain([file]).collect();
        let Some(output) = run(service.root(), tool, &args) else {
            return;
        };
        assert!(output.status.success(), "{}", text(&output));

        let good = service.read(file);
        assert!(good.contains(replace), "{file} has no {replace}");
        std::fs::write(service.root().join(file), good.replacen(replace, with, 1)).expect("a file");
        let output = run(service.root(), tool, &args).expect("it is installed");
        assert!(!output.status.success(), "{tool} accepts {with}");
    }
}

#[test]
fn hadolint_accepts_the_dockerfile() {
    check(
        "Dockerfile",
        "hadolint",
        &[],
        "WORKDIR /usr/app",
        "WORKDIR app",
    );
}

#[test]
fn the_compose_file_matches_its_schema() {
    check(
        "compose.yaml",
        "check-jsonschema",
        &["--builtin-schema", "vendor.compose-spec"],
        "mem_limit",
        "memory_limit",
    );
}

/// Versions of Kubernetes that are maintained, or were until recently.
const KUBERNETES: [&str; 3] = ["1.33", "1.35", "1.37"];
/// The checks of checkov (`tests/linters.txt`) that are skipped, and why.
const SKIPPED_CHECKS: [&str; 3] = [
    "CKV_K8S_15", // always pulling images: each version has its own tag
    "CKV_K8S_35", // secrets as files: Loco's settings come from the environment
    "CKV_K8S_43", // images by digest: that is up to the owner of the overlay
];

/// Builds each overlay of a service into a file, if Kustomize is installed.
fn build_overlays(service: &Rendered) -> Vec<String> {
    let overlays = service.root().join("deploy/kubernetes/overlays");
    let mut files = Vec::new();
    for overlay in std::fs::read_dir(overlays).expect("overlays") {
        let name = overlay.expect("a folder").file_name();
        let name = name.to_str().expect("UTF-8");
        let path = format!("deploy/kubernetes/overlays/{name}");
        let Some(output) = run(service.root(), "kubectl", &["kustomize", &path]) else {
            return files;
        };
        assert!(output.status.success(), "{name}: {}", text(&output));
        let file = format!("{name}.yaml");
        std::fs::write(service.root().join(&file), output.stdout).expect("a file");
        files.push(file);
    }
    files
}

#[test]
fn kubernetes_accepts_each_object() {
    for service in services() {
        for file in build_overlays(&service) {
            for version in KUBERNETES {
                let args = ["--strict", "--kubernetes-version", version, &file];
                let Some(output) = run(service.root(), "kubernetes-validate", &args) else {
                    return;
                };
                assert!(output.status.success(), "{}", text(&output));
            }
            for (good, bad) in [
                ("runAsNonRoot", "runAsNoRoot"),
                ("maxUnavailable: 1", "maxUnavailable: {}"),
                ("targetPort", "target"),
                ("policyTypes", "policies"),
            ] {
                let objects = service.read(&file);
                assert!(objects.contains(good), "{file} has no {good}");
                std::fs::write(
                    service.root().join("bad.yaml"),
                    objects.replacen(good, bad, 1),
                )
                .expect("a file");
                let args = ["--strict", "bad.yaml"];
                let output =
                    run(service.root(), "kubernetes-validate", &args).expect("it is installed");
                assert!(!output.status.success(), "it accepts {bad}");
            }
        }
    }
}

#[test]
fn a_policy_linter_accepts_each_object() {
    let skipped_checks = SKIPPED_CHECKS.join(",");
    for service in services() {
        for file in build_overlays(&service) {
            let args = ["--compact", "--quiet", "--framework", "kubernetes"];
            let args = [
                &args[..],
                &[
                    "--skip-download",
                    "--skip-check",
                    &skipped_checks,
                    "--file",
                    &file,
                ],
            ]
            .concat();
            let Some(output) = run(service.root(), "checkov", &args) else {
                return;
            };
            assert!(output.status.success(), "{}", text(&output));

            let objects = service.read(&file);
            let bad = objects.replacen("readOnlyRootFilesystem: true", "privileged: true", 1);
            assert_ne!(objects, bad);
            std::fs::write(service.root().join(&file), bad).expect("a file");
            let output = run(service.root(), "checkov", &args).expect("it is installed");
            assert!(!output.status.success(), "{}", text(&output));
        }
    }
}

#[test]
fn the_monitoring_component_has_the_alert_rules() {
    let service = Answers::new("svc")
        .with("background", "sqlite")
        .render()
        .expect("the answers render");
    let overlay = "deploy/kubernetes/overlays/one-node";
    let file = format!("{overlay}/kustomization.yaml");
    let off = service.read(&file);
    let on = off.replace("# components:\n#   -", "components:\n  -");
    assert_ne!(off, on);
    std::fs::write(service.root().join(&file), on).expect("a file");
    let Some(output) = run(service.root(), "kubectl", &["kustomize", overlay]) else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output));

    let objects: Vec<Value> = text(&output)
        .split("\n---\n")
        .map(|object| serde_yaml_ng::from_str(object).expect("YAML"))
        .collect();
    let of = |kind: &str| objects.iter().find(|object| object["kind"] == kind);
    let rules = &of("PrometheusRule").expect("rules")["spec"];
    let alerts: Value =
        serde_yaml_ng::from_str(&service.read("monitoring/alerts.yaml")).expect("YAML");
    assert_eq!(rules, &alerts);
    let settings = of("ConfigMap").expect("settings");
    assert_eq!(settings["data"]["MEMORY_ADMIN_BIND"], "0.0.0.0:5151");
    assert!(of("PodMonitor").is_some());
}

#[test]
fn actionlint_accepts_the_generated_workflow() {
    // Without shellcheck, which it would use if installed: the result would depend on the machine.
    check(
        ".github/workflows/ci.yaml",
        "actionlint",
        &["-shellcheck="],
        "github.workflow",
        "github.workflows",
    );
}

#[test]
fn actionlint_accepts_the_workflow_of_the_template() {
    let workflow = ".github/workflows/ci.yaml";
    if let Some(output) = run(&repository(), "actionlint", &["-shellcheck=", workflow]) {
        assert!(output.status.success(), "{}", text(&output));
    }
}

#[test]
fn no_workflow_has_more_permissions_than_it_needs() {
    let args = ["--offline", "--no-progress", "--min-severity", "medium"];
    let of = |directory: &Path| run(directory, "zizmor", &[&args[..], &["."]].concat());
    for service in services() {
        let Some(output) = of(service.root()) else {
            return;
        };
        assert!(output.status.success(), "{}", text(&output));
    }
    let own = run(&repository(), "zizmor", &[&args[..], &[".github"]].concat());
    let own = own.expect("it is installed");
    assert!(own.status.success(), "{}", text(&own));

    let service = &services()[0];
    let file = ".github/workflows/ci.yaml";
    let by_tag = service
        .read(file)
        .replacen("@3d3c42e5aac5ba805825da76410c181273ba90b1", "@v7", 1);
    assert_ne!(by_tag, service.read(file));
    std::fs::write(service.root().join(file), by_tag).expect("a file");
    let output = of(service.root()).expect("it is installed");
    assert!(!output.status.success(), "{}", text(&output));
}
