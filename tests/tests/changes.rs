//! The longest tests: an answer is changed after generation by the edits that README.md states, both ways,
//! and what is done by half is named with what to do.

use std::fs;

use template_tests::{Answers, Rendered};

const OPTIONS_OF_PROFILING: &str = ",prof:true,prof_active:false,lg_prof_sample:19";

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

    /// In the line of `memory` of the manifest.
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

    fn is_whole(&self) -> String {
        let report = self.report();
        assert!(!report.contains("NOT IN EFFECT"), "{report}");
        report
    }

    /// What an edit done by half lets the report, the log at start and the doctor say.
    fn names(&self, what: &str) {
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

    fn does_not_build(&self, because: &str) {
        let error = self.0.run(&["build"]).expect_err("it does not build");
        assert!(error.to_string().contains(because), "{error}");
    }

    /// The status of a path of the memory listener.
    fn status(&self, method: &str, path: &str) -> u16 {
        let binary = self.0.build().expect("it builds");
        let address = "127.0.0.1:5251";
        let running = self.0.start(&binary, &[("MEMORY_ADMIN_BIND", address)]);
        let _running = running.expect("it starts");
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .new_agent();
        let url = format!("http://{address}{path}");
        let response = match method {
            "POST" => agent.post(url).send_empty(),
            _ => agent.get(url).call(),
        };
        response.expect("an answer").status().as_u16()
    }
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn metrics_the_idle_watch_and_jemalloc_itself_come_and_go() {
    let service = Service::new("lean");
    let report = service.is_whole();
    assert!(report.contains("profile     lean"), "{report}");

    assert_eq!(service.status("GET", "/metrics"), 404);
    service.add_feature("metrics");
    service.is_whole();
    assert_eq!(service.status("GET", "/metrics"), 200);
    service.remove_feature("metrics");
    assert_eq!(service.status("GET", "/metrics"), 404);

    service.remove_feature("idle");
    service.names("add \"idle\" to the features of `memory`");
    service.add_feature("idle");
    service.is_whole();

    service.edit("Cargo.toml", ", features = [\"idle\", \"jemalloc\"]", "");
    service.names("add \"jemalloc\" to the features of `memory`");
    let config = service.0.read(".cargo/config.toml");
    let (aliases, _) = config
        .split_once("# The memory profile")
        .expect("a profile");
    fs::write(service.0.root().join(".cargo/config.toml"), aliases).expect("a file");
    let report = service.is_whole();
    assert!(report.contains("allocator   system"), "{report}");
    service.edit(
        "Cargo.toml",
        "package = \"svc-memory\"",
        "package = \"svc-memory\", features = [\"idle\", \"jemalloc\"]",
    );
    fs::write(service.0.root().join(".cargo/config.toml"), config).expect("a file");
    let report = service.is_whole();
    assert!(report.contains("profile     lean"), "{report}");
}

#[test]
#[ignore = "builds jemalloc several times: the workflow on GitHub runs it, with --ignored"]
fn heap_profiles_and_another_profile_come_and_go() {
    let service = Service::new("balanced");
    let balanced = "background_thread:true,dirty_decay_ms:500,muzzy_decay_ms:1000,abort_conf:true";
    let lean = "background_thread:true,dirty_decay_ms:2000,muzzy_decay_ms:0,abort_conf:true";
    let activate = "/debug/pprof/heap/activate";
    service.is_whole();
    assert_eq!(service.status("POST", activate), 404);

    service.add_feature("heap-profiling");
    service.names(&format!("add {}", &OPTIONS_OF_PROFILING[1..]));
    let with_profiling = [balanced, OPTIONS_OF_PROFILING].concat();
    service.edit(".cargo/config.toml", balanced, &with_profiling);
    service.is_whole();
    assert_eq!(service.status("POST", activate), 200);
    service.remove_feature("heap-profiling");
    service.does_not_build("add \"heap-profiling\" to the features of `memory`");
    service.edit(".cargo/config.toml", &with_profiling, balanced);
    service.is_whole();
    assert_eq!(service.status("POST", activate), 404);

    for (from, to, name, another) in [
        (balanced, lean, "balanced", "lean"),
        (lean, balanced, "lean", "balanced"),
    ] {
        let value = |name: &str| format!("MEMORY_PROFILE = \"{name}\"");
        service.edit(".cargo/config.toml", from, to);
        service.edit(".cargo/config.toml", &value(name), &value(another));
        if another == "lean" {
            service.names("add \"idle\" to the features of `memory`");
            service.add_feature("idle");
        } else {
            service.remove_feature("idle");
        }
        let report = service.is_whole();
        assert!(
            report.contains(&format!("profile     {another}")),
            "{report}"
        );
    }
}
