//! What a service that was killed for its memory leaves behind: a release build in a memory cgroup of
//! 256 MiB, one of whose functions leaks. Requires root.
#![cfg(target_os = "linux")]

use std::{fs, thread, time::Duration};

use serde_json::Value;
use template_tests::{
    load_target::{self, binary},
    needs, repository,
    siege::Cgroup,
    Running,
};

const LIMIT: u64 = 256 << 20;
/// The function of `fixtures/load.rs` that leaks.
const LEAK: &str = "hoard (controllers/load.rs)";

/// The percentages in the titles of a flame graph's boxes of this function.
fn shares<'a>(svg: &'a str, function: &'a str) -> impl Iterator<Item = f64> + 'a {
    // `<title>hoard (controllers/load.rs) (210,763,776 bytes, 97.52%)</title>`
    svg.split("<title>").filter_map(move |title| {
        let (title, _) = title.split_once("</title>")?;
        let (name, figures) = title.rsplit_once(" (")?;
        let (_, share) = figures.strip_suffix("%)")?.split_once(", ")?;
        name.ends_with(function).then(|| share.parse().ok())?
    })
}

#[test]
#[ignore = "long: a release build, and minutes until the slow leak has filled the limit"]
fn a_leak_is_named_after_the_kill() {
    if !needs::root() {
        return;
    }
    let directory = repository().join("tests/target/black-box");
    fs::create_dir_all(&directory).expect("a directory");
    let answers = [("heap_profiling", "true")];
    load_target::build_generated(&directory, &answers, false).expect("a service");

    thread::scope(|scope| {
        for megabytes_per_second in [1, 50] {
            let directory = &directory;
            scope.spawn(move || {
                let name = format!("leak-{megabytes_per_second}");
                let scratch = tempfile::tempdir().expect("a directory");
                let records = scratch.path().join("black_box");
                let database = scratch.path().join("leak.sqlite");
                let env = [
                    ("MEMORY_BLACK_BOX", records.display().to_string()),
                    (
                        "DATABASE_URL",
                        format!("sqlite://{}?mode=rwc", database.display()),
                    ),
                ];
                let env = env.each_ref().map(|(name, value)| (*name, value.as_str()));
                let cgroup = Cgroup::new(&name, LIMIT).expect("a cgroup");
                let start = || {
                    let files = cgroup.procs_file();
                    Running::start_in_cgroup(&files, &binary(directory), directory, &env)
                };

                let mut killed = start().expect("it responds");
                let leak = format!("/load/leak?bytes={}", megabytes_per_second * 100_000);
                killed.get(&leak).expect("it leaks");
                let status = killed.wait(Duration::from_secs(600)).expect("an end");
                assert!(!status.success(), "{name}: {status}");
                assert_eq!(cgroup.kills().expect("a count"), 1, "{name}");

                let mut next = start().expect("it responds");
                assert!(
                    next.log().contains("the black box has records"),
                    "{}",
                    next.log()
                );
                let listener = next.memory_listener().expect("a listener");
                let get = |path: &str| -> String {
                    let mut response = ureq::get(format!("{listener}{path}")).call().expect(path);
                    response.body_mut().read_to_string().expect("a body")
                };
                let list: Vec<Value> =
                    serde_json::from_str(&get("/memory/black_box")).expect("JSON");
                let mut records = list.iter();
                let last = records.rfind(|record| record["heap_profile"] == true);
                let record = last.and_then(|record| record["name"].as_str());
                let record = record.unwrap_or_else(|| panic!("{name}: {list:?}"));
                let svg = get(&format!("/debug/pprof/heap/flamegraph?record={record}"));
                let share = shares(&svg, LEAK).fold(0.0, f64::max);
                assert!(share > 90.0, "{name}: {share} % in {record}");
            });
        }
    });
}
