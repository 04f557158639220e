//! The longest tests: answers are changed after generation with the edits from README.md, and
//! changed back. A half-finished change is reported with what to do.

use std::fs;

use template_tests::{Answers, Rendered};

const OPTIONS_OF_PROFILING: &str = ",prof:true,prof_active:true,lg_prof_sample:21";

struct Service(Rendered);

impl Service {
    fn new(profile: &str) -> Self {
        let service = Answers::new("svc")
            .with("starter", "lightweight")
            .with("memory_profile", profile)
            .with("memory_metrics", "false")
            .render();
        Self(service.expect("the answers render"))
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let text = self.0.read(file);
        assert!(text.contains(from), "{file} has no {from}:\n{text}");
        fs::write(self.0.root().join(file), text.replace(from, to)).expect("a file");
    }

    /// Adds to the line of `memory` in the manifest.
    fn add_feature(&self, feature: &str) {
        let features = "\"svc-memory\", features = [";
        self.edit(
            "Cargo.toml",
            features,
            &format!("{features}\"{feature}\", "),
        );
    }

    fn remove_feature(&self, feature: &str) {
        self.edit("Cargo.toml", &format!("\"{feature}\", "), "");
    }

    fn report(&self) -> String {
        let report = self.0.run(&["loco", "task", "memory"]);
        report.expect("it builds and reports")
    }

    fn assert_in_effect(&self) -> String {
        let report = self.report();
        assert!(!report.contains("NOT IN EFFECT"), "{report}");
        report
    }

    /// The report, the log at start and the doctor all report a half-finished edit.
    fn assert_reported(&self, what: &str) {
        let report = self.report();
        assert!(
            report.contains("NOT IN EFFECT") && report.contains(what),
            "{report}"
        );
        let binary = self.0.build().expect("it builds");
        let log = self.0.start(&binary, &[]).expect("it starts").log();
        assert!(log.contains(what), "{log}");
        let doctor = self.0.run(&["loco", "doctor"]);
        let doctor = doctor.unwrap_or_else(|err| err.to_string());
        assert!(doctor.contains(what), "{doctor}");
    }

    fn assert_build_fails(&self, because: &str) {
        let error = self.0.run(&["build"]).expect_err("it does not build");
        assert!(error.to_string().contains(because), "{error}");
    }

    /// The status of the memory listener's response on a path.
    fn status(&self, method: &str, path: &str) -> u16 {
        let binary = self.0.build().expect("it builds");
        let running = self
            .0
            .start(&binary, &[("MEMORY_ADMIN_BIND", "127.0.0.1:0")]);
        let mut running = running.expect("it starts");
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .new_agent();
        let url = running.memory_listener().expect("a listener") + path;
        let response = match method {
            "POST" => agent.post(url).send_empty(),
            _ => agent.get(url).call(),
        };
        response.expect("a response").status().as_u16()
    }
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn metrics_the_idle_purge_and_jemalloc_itself_can_be_added_and_removed() {
    let service = Service::new("lean");
    let report = service.assert_in_effect();
    assert!(report.contains("profile     lean"), "{report}");

    assert_eq!(service.status("GET", "/metrics"), 404);
    service.add_feature("metrics");
    service.assert_in_effect();
    assert_eq!(service.status("GET", "/metrics"), 200);
    service.remove_feature("metrics");
    assert_eq!(service.status("GET", "/metrics"), 404);

    service.remove_feature("idle");
    service.assert_reported("add \"idle\" to the features of `memory`");
    service.add_feature("idle");
    service.assert_in_effect();

    service.edit("Cargo.toml", ", features = [\"idle\", \"jemalloc\"]", "");
    service.assert_reported("add \"jemalloc\" to the features of `memory`");
    let config = service.0.read(".cargo/config.toml");
    let (aliases, _) = config
        .split_once("# The memory profile")
        .expect("a profile");
    fs::write(service.0.root().join(".cargo/config.toml"), aliases).expect("a file");
    let report = service.assert_in_effect();
    assert!(report.contains("allocator   system"), "{report}");
    service.edit(
        "Cargo.toml",
        "package = \"svc-memory\"",
        "package = \"svc-memory\", features = [\"idle\", \"jemalloc\"]",
    );
    fs::write(service.0.root().join(".cargo/config.toml"), config).expect("a file");
    let report = service.assert_in_effect();
    assert!(report.contains("profile     lean"), "{report}");
}

#[test]
#[ignore = "builds jemalloc several times: the workflow on GitHub runs it, with --ignored"]
fn heap_profiles_and_the_memory_profile_can_be_changed_and_changed_back() {
    let service = Service::new("balanced");
    let balanced = "background_thread:true,dirty_decay_ms:500,muzzy_decay_ms:1000,abort_conf:true";
    let lean = "background_thread:true,dirty_decay_ms:2000,muzzy_decay_ms:0,abort_conf:true";
    let activate = "/debug/pprof/heap/activate";
    service.assert_in_effect();
    assert_eq!(service.status("POST", activate), 404);

    service.add_feature("heap-profiling");
    service.assert_reported(&format!("add {}", &OPTIONS_OF_PROFILING[1..]));
    let with_profiling = [balanced, OPTIONS_OF_PROFILING].concat();
    service.edit(".cargo/config.toml", balanced, &with_profiling);
    service.assert_in_effect();
    assert_eq!(service.status("POST", activate), 200);
    service.remove_feature("heap-profiling");
    service.assert_build_fails("add \"heap-profiling\" to the features of `memory`");
    service.edit(".cargo/config.toml", &with_profiling, balanced);
    service.assert_in_effect();
    assert_eq!(service.status("POST", activate), 404);

    for (from, to, name, another) in [
        (balanced, lean, "balanced", "lean"),
        (lean, balanced, "lean", "balanced"),
    ] {
        let value = |name: &str| format!("MEMORY_PROFILE = \"{name}\"");
        service.edit(".cargo/config.toml", from, to);
        service.edit(".cargo/config.toml", &value(name), &value(another));
        if another == "lean" {
            service.assert_reported("add \"idle\" to the features of `memory`");
            service.add_feature("idle");
        } else {
            service.remove_feature("idle");
        }
        let report = service.assert_in_effect();
        assert!(
            report.contains(&format!("profile     {another}")),
            "{report}"
        );
    }
}
