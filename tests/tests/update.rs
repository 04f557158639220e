//! Fast tier, except for one: a service with changes is updated to a later version of the template,
//! with the commands of its README.

#![cfg(unix)]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use template_tests::{copy_template, repository, Answers, Rendered};

/// The last commit before the memory code became a crate.
const OLD_LAYOUT: &str = "ba22ff7";

/// Folders for the template, the service, and the programs that its README uses.
struct Sandbox(TempDir);

impl Sandbox {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let sandbox = Self(directory);
        let programs = sandbox.path("programs");
        fs::create_dir(&programs).expect("a directory");
        symlink(
            env!("CARGO_BIN_EXE_generate"),
            programs.join("cargo-generate"),
        )
        .expect("a link");
        drop(copy_template(&sandbox.template()));
        sandbox
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn template(&self) -> PathBuf {
        self.path("template")
    }

    /// A service, committed as generated.
    fn service(&self, answers: &Answers, template: &Path) -> Rendered {
        let root = answers
            .render_from(template, self.0.path())
            .expect("it renders");
        self.shell(
            &root,
            "git init --quiet . && git add --all && git commit --quiet -m Generated",
        )
        .expect("it is committed");
        Rendered::at(root)
    }

    /// The output of bash for these lines, stopping at the first that fails.
    fn shell(&self, directory: &Path, lines: &str) -> Result<String, String> {
        let path = std::env::var("PATH").expect("PATH");
        let output = Command::new("bash")
            .args(["-e", "-c", lines])
            .current_dir(directory)
            .env(
                "PATH",
                format!("{}:{path}", self.path("programs").display()),
            )
            .env("TEMPLATE", self.template())
            .envs([
                ("GIT_AUTHOR_NAME", "Ann"),
                ("GIT_AUTHOR_EMAIL", "ann@example.com"),
                ("GIT_COMMITTER_NAME", "Ann"),
                ("GIT_COMMITTER_EMAIL", "ann@example.com"),
            ])
            .output()
            .expect("bash runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &*String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            Ok(text)
        } else {
            Err(text)
        }
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        edit(&self.template().join("template").join(file), from, to);
    }
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("a file");
    assert!(text.contains(from), "{}: {from}", path.display());
    fs::write(path, text.replacen(from, to, 1)).expect("a file");
}

/// The commands of "Update" in README.md: those to run once, and those for each update.
fn commands(service: &Rendered) -> [String; 2] {
    let readme = service.read("README.md");
    let (_, section) = readme.split_once("\n## Update\n").expect("a section");
    let (section, _) = section.split_once("\n## ").expect("its end");
    let blocks: Vec<String> = section
        .split("```sh\n")
        .skip(1)
        .filter_map(|block| Some(block.split_once("```")?.0.to_string()))
        .collect();
    blocks.try_into().expect("two blocks of commands")
}

fn lightweight() -> Answers {
    Answers::new("shop").with("starter", "lightweight")
}

#[test]
fn the_changes_of_the_owner_and_of_the_template_are_merged() {
    let sandbox = Sandbox::new();
    let service = sandbox.service(&lightweight(), &sandbox.template());
    let [once, update] = commands(&service);
    let root = service.root();
    edit(
        &root.join("config/production.yaml"),
        "waiting: 10000",
        "waiting: 77",
    );
    edit(
        &root.join("src/controllers/home.rs"),
        "use ",
        "// ours\nuse ",
    );
    fs::write(root.join("src/controllers/orders.rs"), "// new\n").expect("a file");
    sandbox
        .shell(root, "git add --all && git commit --quiet -m Ours")
        .expect("it is committed");
    sandbox.edit(
        "config/production.lightweight.yaml",
        "timeout: 15000",
        "timeout: 9000",
    );
    sandbox.edit(
        "memory/src/lib.rs",
        "mod cgroup;",
        "mod cgroup;\nmod later;",
    );
    let folder = sandbox.template().join("template/memory/src");
    fs::write(folder.join("later.rs"), "//! Later.\n").expect("a file");
    fs::remove_file(folder.join("wiring.rs")).expect("a file");

    sandbox.shell(root, &once).expect("the branch");
    sandbox.shell(root, &update).expect("the update");

    let config = service.read("config/production.yaml");
    assert!(
        config.contains("waiting: 77") && config.contains("timeout: 9000"),
        "{config}"
    );
    assert!(service.read("src/controllers/home.rs").contains("// ours"));
    assert!(service.has("src/controllers/orders.rs"));
    assert!(service.has("memory/src/later.rs"));
    assert!(!service.has("memory/src/wiring.rs"));
    assert!(service.read(".template.toml").contains("lightweight"));

    // Once more, with nothing new.
    let again = sandbox.shell(root, &update);
    assert!(again.is_err_and(|output| output.contains("nothing to commit")));
    sandbox
        .shell(root, "git worktree remove ../shop-template")
        .expect("it is removed");
}

#[test]
fn another_answer_is_merged_like_an_update() {
    let sandbox = Sandbox::new();
    let answers = Answers::new("shop").with("starter", "rest-api");
    let service = sandbox.service(&answers, &sandbox.template());
    let [once, update] = commands(&service);
    let root = service.root();
    edit(
        &root.join("src/controllers/auth.rs"),
        "#[debug_handler]",
        "// ours\n#[debug_handler]",
    );
    sandbox.shell(root, &once).expect("the branch");

    edit(
        &root.join(".template.toml"),
        "openapi = \"false\"",
        "openapi = \"true\"",
    );
    sandbox
        .shell(root, "git add --all && git commit --quiet -m Ours")
        .expect("it is committed");
    sandbox.shell(root, &update).expect("the update");

    assert!(service.read("src/controllers/auth.rs").contains("// ours"));
    assert!(service
        .read("src/app.rs")
        .contains("controllers::openapi::routes(ctx)"));
    for file in [
        "openapi.json",
        "src/openapi/auth.rs",
        "tests/requests/openapi.rs",
    ] {
        assert!(service.has(file), "no {file}");
    }
}

#[test]
fn changes_to_the_same_line_are_a_git_conflict() {
    let sandbox = Sandbox::new();
    let service = sandbox.service(&lightweight(), &sandbox.template());
    let [once, update] = commands(&service);
    let root = service.root();
    let config = root.join("config/production.yaml");
    edit(&config, "timeout: 15000", "timeout: 1");
    sandbox
        .shell(root, "git commit --quiet --all -m Ours")
        .expect("it is committed");
    sandbox.edit(
        "config/production.lightweight.yaml",
        "timeout: 15000",
        "timeout: 2",
    );

    sandbox.shell(root, &once).expect("the branch");
    let output = sandbox.shell(root, &update).expect_err("a conflict");

    assert!(
        output.contains("CONFLICT (content): Merge conflict in config/production.yaml"),
        "{output}"
    );
    let text = service.read("config/production.yaml");
    assert!(
        text.contains("<<<<<<<") && text.contains("timeout: 1 "),
        "{text}"
    );
    sandbox
        .shell(
            root,
            "git merge --abort && test -z \"$(git status --porcelain)\"",
        )
        .expect("nothing is lost");
    assert!(service
        .read("config/production.yaml")
        .contains("timeout: 1 "));
}

/// Lists of modules, to which both sides have added lines at the same place.
const LISTS: [&str; 4] = [
    "migration/src/lib.rs",
    "src/models/_entities/mod.rs",
    "src/models/_entities/prelude.rs",
    "src/models/mod.rs",
];

#[test]
#[ignore = "takes minutes, and needs the history: the workflow on GitHub runs it, with --ignored"]
fn edited_services_of_both_layouts_build_and_pass_their_tests_after_an_update() {
    for is_old in [true, false] {
        let sandbox = Sandbox::new();
        let before = if is_old {
            let old = sandbox.path("old");
            fs::create_dir(&old).expect("a directory");
            let archive = format!(
                "git -C '{}' archive {OLD_LAYOUT} cargo-generate.toml hooks template README.md \
                 | tar --extract --directory '{}'",
                repository().display(),
                old.display()
            );
            sandbox
                .shell(sandbox.0.path(), &archive)
                .expect("the history");
            old
        } else {
            sandbox.template()
        };
        let service = sandbox.service(&Answers::new("svc"), &before);
        let root = service.root();
        // The owner's changes: a model, a controller, a setting, a comment.
        for generator in ["model tags label:string", "controller guide --api"] {
            let args: Vec<&str> = ["loco", "generate"]
                .into_iter()
                .chain(generator.split(' '))
                .collect();
            service.run(&args).expect("it generates");
        }
        edit(
            &root.join("config/production.yaml"),
            "waiting: 10000",
            "waiting: 77",
        );
        edit(&root.join("src/controllers/auth.rs"), "//! ", "//! Ours. ");
        sandbox
            .shell(root, "git add --all && git commit --quiet -m Ours")
            .expect("it is committed");

        let latest = Answers::new("svc").render().expect("it renders");
        let [once, mut update] = commands(&latest);
        // A service of the old layout has no record of its answers.
        if is_old {
            let answers = sandbox.path("answers.toml");
            fs::write(&answers, "[values]\nstarter = \"rest-api\"\n").expect("the answers");
            update = update.replace(".template.toml", &answers.display().to_string());
        }
        // The later version of the template.
        sandbox.edit("memory/README.md", "# The memory crate", "# The crate");
        sandbox.shell(root, &once).expect("the branch");
        let merged = sandbox.shell(root, &update);
        let conflicts = sandbox
            .shell(root, "git diff --name-only --diff-filter=U")
            .expect("a list");
        if is_old {
            // Both sides have changed adjacent lines: the owner adds theirs to those of the
            // template.
            let (settings, lists) = conflicts.split_once('\n').expect("several files");
            assert_eq!(settings, "config/production.yaml", "{merged:?}");
            assert_eq!(lists.lines().collect::<Vec<_>>(), LISTS, "{merged:?}");
            sandbox
                .shell(root, "git checkout --quiet --theirs config")
                .expect("the template's");
            edit(
                &root.join("config/production.yaml"),
                "waiting: 10000",
                "waiting: 77",
            );
            let both = format!(
                "sed --in-place '/^<<<<<<< /d; /^=======$/d; /^>>>>>>> /d' {}",
                LISTS.join(" ")
            );
            sandbox.shell(root, &both).expect("both sides");
            sandbox
                .shell(root, "git commit --quiet --all --no-edit")
                .expect("it is merged");
        } else {
            merged.expect("it is merged");
        }
        sandbox
            .shell(root, "! git grep --line-number '^<<<<<<< '")
            .expect("no conflict markers");

        assert!(service
            .read("config/production.yaml")
            .contains("waiting: 77"));
        assert!(service
            .read("src/controllers/auth.rs")
            .contains("//! Ours. "));
        assert!(service
            .read("src/app.rs")
            .contains("controllers::guide::routes()"));
        assert!(service.has("memory/src/lib.rs") && !service.has("src/memory"));
        assert!(service.read("memory/README.md").contains("# The crate\n"));
        service.run(&["test"]).expect("its tests pass");
    }
}
