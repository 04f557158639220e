//! Linters and schemas of others, on what is generated and on the template's own workflow. The tools
//! are those of `tests/linters.txt`, in PATH; without them these tests are skipped, loudly, but not
//! in CI.

use std::{
    path::Path,
    process::{Command, Output},
};

use template_tests::{needs, repository, Answers, Rendered};

/// Services whose files differ from each other as much as they can: between them they hold every
/// line that an answer adds to these files.
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

/// Runs a tool, or says that there is none.
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

/// The tool accepts the file as it is generated, and refuses it with one line changed: a linter that
/// accepts everything would not be noticed otherwise.
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
        let output = run(service.root(), tool, &args).expect("as before");
        assert!(!output.status.success(), "{tool} accepts {with}");
    }
}

#[test]
fn hadolint_is_content_with_the_dockerfile() {
    check(
        "Dockerfile",
        "hadolint",
        &[],
        "WORKDIR /usr/app",
        "WORKDIR app",
    );
}

#[test]
fn the_compose_file_is_one() {
    check(
        "compose.yaml",
        "check-jsonschema",
        &["--builtin-schema", "vendor.compose-spec"],
        "mem_limit",
        "memory_limit",
    );
}

#[test]
fn kubernetes_takes_each_object() {
    let args = ["--strict"];
    check(
        "deploy/kubernetes/web.yaml",
        "kubernetes-validate",
        &args,
        "runAsNonRoot",
        "runAsNoRoot",
    );
    check(
        "deploy/kubernetes/settings.yaml",
        "kubernetes-validate",
        &args,
        "data:",
        "values:",
    );
    check(
        "deploy/kubernetes/service.yaml",
        "kubernetes-validate",
        &args,
        "targetPort",
        "target",
    );
    for service in services() {
        for file in ["volume", "worker", "scheduler"] {
            let file = format!("deploy/kubernetes/{file}.yaml");
            if service.has(&file) {
                let Some(output) = run(service.root(), "kubernetes-validate", &["--strict", &file])
                else {
                    return;
                };
                assert!(output.status.success(), "{}", text(&output));
            }
        }
    }
}

#[test]
fn actionlint_is_content_with_the_generated_workflow() {
    // Without shellcheck, which it takes when there is one: the answer would depend on the machine.
    check(
        ".github/workflows/ci.yaml",
        "actionlint",
        &["-shellcheck="],
        "github.workflow",
        "github.workflows",
    );
}

#[test]
fn actionlint_is_content_with_the_templates_own_workflow() {
    let workflow = ".github/workflows/ci.yaml";
    if let Some(output) = run(&repository(), "actionlint", &["-shellcheck=", workflow]) {
        assert!(output.status.success(), "{}", text(&output));
    }
}
