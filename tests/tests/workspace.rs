//! The longest tests: several services in one Cargo workspace, next to members with the same names
//! as their crates.

use std::{fs, path::Path};

use template_tests::{Answers, Rendered};

fn member(root: &Path, name: &str) {
    let folder = root.join(name).join("src");
    fs::create_dir_all(&folder).expect("a directory");
    fs::write(
        root.join(name).join("Cargo.toml"),
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n"),
    )
    .expect("a manifest");
    fs::write(folder.join("lib.rs"), "").expect("a library");
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn two_services_coexist_with_members_called_migration_and_memory() {
    let workspace = tempfile::tempdir().expect("a directory");
    let root = workspace.path();
    for name in ["memory", "migration"] {
        member(root, name);
    }
    let alone = Answers::new("svc").render().expect("the answers render");
    fs::write(root.join("Cargo.lock"), alone.read("Cargo.lock")).expect("the lock file");
    let manifest = "[workspace]\nresolver = \"2\"\nmembers = [\"memory\", \"migration\"]\n";
    fs::write(root.join("Cargo.toml"), manifest).expect("a manifest");
    let services = ["shop", "stock"].map(|name| {
        let service = Answers::new(name).render_into(root);
        Rendered::at(service.expect("the answers render"))
    });
    let workspace_root = Rendered::at(root.to_path_buf());

    let error = workspace_root
        .run(&["build", "--workspace"])
        .expect_err("the root does not see the profile")
        .to_string();
    assert!(error.contains("the memory profile is missing"), "{error}");
    for service in &services {
        let report = service
            .run(&["loco", "task", "memory"])
            .expect("in its folder it builds");
        assert!(report.contains("profile     lean"), "{report}");
        assert!(!report.contains("NOT IN EFFECT"), "{report}");
    }

    fs::create_dir(root.join(".cargo")).expect("a directory");
    let config = services[0].read(".cargo/config.toml");
    fs::write(root.join(".cargo/config.toml"), config).expect("the profile");
    workspace_root
        .run(&["test", "--workspace"])
        .expect("the tests of all pass");
}
