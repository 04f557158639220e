//! Alerts and dashboard, with a Prometheus that watches services: each incident raises its alert, an
//! hour of ordinary load raises none. Requires root.
#![cfg(target_os = "linux")]

use std::{
    collections::BTreeSet,
    env, fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use template_tests::{
    load_target::{add_controller, LOAD_ROUTES},
    needs, profiles,
    prometheus::Prometheus,
    siege::{cgroup, Cgroup},
    Answers, Rendered, Running,
};

const LIMIT: u64 = 256 << 20;
/// By how much the rules' durations are shortened: those of minutes, and those of hours and days.
const MINUTES_FACTOR: u64 = 60;
const DAYS_FACTOR: u64 = 720;
const DAY: Duration = Duration::from_secs(24 * 60 * 60 / DAYS_FACTOR);
const TIMEOUT: Duration = Duration::from_secs(120);

/// A service that can be put under load, and its binary.
fn build(answers: &Answers) -> (Rendered, PathBuf) {
    let service = answers.render().expect("the answers render");
    for (name, source) in [
        ("load", LOAD_ROUTES),
        ("incidents", include_str!("../fixtures/incidents.rs")),
    ] {
        add_controller(service.root(), name, source).expect("a controller");
    }
    let binary = service.build().expect("it builds");
    (service, binary)
}

/// A duration such as `30m` in milliseconds, and the text after it.
fn duration(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let milliseconds = match &text[digits..=digits] {
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let count: u64 = text[..digits].parse().ok()?;
    Some((count * milliseconds, &text[digits + 1..]))
}

/// The durations of a rule: what follows one of these.
const BEFORE_DURATIONS: [&str; 4] = ["[", ":", "offset ", "for: "];

/// An alert rule whose durations, and whose seconds of a day, are shortened.
fn shorten(rule: &str) -> String {
    let longest = BEFORE_DURATIONS
        .iter()
        .flat_map(|before| rule.split(before).skip(1))
        .filter_map(|rest| duration(rest).map(|(milliseconds, _)| milliseconds))
        .max();
    let factor = if longest > Some(3_600_000) {
        DAYS_FACTOR
    } else {
        MINUTES_FACTOR
    };
    let mut rule = rule.replace("86400", &(86_400 / factor).to_string());
    for before in BEFORE_DURATIONS {
        let mut parts = rule.split(before);
        let first = parts.next().unwrap_or_default().to_string();
        rule = parts.fold(first, |text, part| match duration(part) {
            Some((milliseconds, rest)) => {
                format!("{text}{before}{}ms{rest}", milliseconds / factor)
            }
            None => format!("{text}{before}{part}"),
        });
    }
    rule
}

/// All rules of a file, each shortened.
fn shorten_all(rules: &str) -> String {
    let separator = "      - alert:";
    let shortened: Vec<String> = rules.split(separator).map(shorten).collect();
    shortened.join(separator)
}

#[test]
fn durations_are_shortened() {
    assert_eq!(
        shorten("expr: rate(a_total[5m]) > 1\nfor: 10m"),
        "expr: rate(a_total[5000ms]) > 1\nfor: 10000ms"
    );
    assert_eq!(
        shorten("deriv(min_over_time(a[1h])[1d:1h]) * 86400 > a offset 1d"),
        "deriv(min_over_time(a[5000ms])[120000ms:5000ms]) * 120 > a offset 120000ms"
    );
}

/// Services with incidents, and what watches them.
struct Incidents<'a> {
    service: &'a Rendered,
    binary: &'a PathBuf,
    prometheus: &'a Prometheus,
}

impl Incidents<'_> {
    /// Starts a service of its own for an incident.
    fn start(&self, incident: &str, env: &[(&str, &str)]) -> Running {
        self.start_in(None, incident, env)
    }

    fn start_in(&self, cgroup: Option<&Cgroup>, incident: &str, env: &[(&str, &str)]) -> Running {
        let root = self.service.root();
        let directory = root.join(incident);
        fs::create_dir_all(&directory).expect("a directory");
        let database = format!("sqlite://{incident}/db.sqlite?mode=rwc");
        let queue = format!("sqlite://{incident}/queue.sqlite?mode=rwc");
        let black_box = directory.display().to_string();
        let mut all = vec![
            ("DATABASE_URL", database.as_str()),
            ("QUEUE_URL", queue.as_str()),
            ("MEMORY_BLACK_BOX", black_box.as_str()),
        ];
        all.extend(env);
        let mut running = match cgroup {
            Some(cgroup) => Running::start_in_cgroup(&cgroup.procs_file(), self.binary, root, &all),
            None => Running::start(self.binary, root, &all),
        }
        .expect(incident);
        // After a restart, it has the same listener.
        if !env.iter().any(|(name, _)| *name == "MEMORY_ADMIN_BIND") {
            let listener = running.memory_listener().expect("a listener");
            self.prometheus
                .watch(&listener, incident)
                .expect("a target");
        }
        running
    }

    /// Waits until all alerts have fired, and ends the watch, as the service is about to end.
    fn wait_for(&self, incident: &str, alerts: &[&str]) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let fired = self.prometheus.fired(incident).expect("alerts");
            if alerts.iter().all(|alert| fired.contains(*alert)) {
                return self.prometheus.forget(incident).expect("a list of targets");
            }
            assert!(Instant::now() < deadline, "{incident}: only {fired:?}");
            thread::sleep(Duration::from_millis(500));
        }
    }
}

fn get(url: &str) -> Result<(), ureq::Error> {
    ureq::get(url).call()?.body_mut().read_to_vec().map(drop)
}

/// Runs `then` while several clients send requests, each with a pause after each response.
fn under_load(running: &Running, path: &str, clients: usize, pause_ms: u64, then: impl FnOnce()) {
    let url = running.url(path);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        // Set even if `then` panics, as the scope waits for the clients.
        let _stop = Stop(&stop);
        for _ in 0..clients {
            // One after another, as people come.
            thread::sleep(Duration::from_millis(200));
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // The response may be an error.
                    drop(get(&url));
                    thread::sleep(Duration::from_millis(pause_ms));
                }
            });
        }
        then();
    });
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Users of all kinds, until `stop`.
fn ordinary_load(service: &str, stop: &AtomicBool) {
    let started = Instant::now();
    let mut bursts = 0;
    while !stop.load(Ordering::Relaxed) {
        for path in [
            "/load/small",
            "/load/posts?posts=50",
            "/load/wait?wait_ms=20",
        ] {
            get(&format!("{service}{path}")).expect(path);
        }
        ureq::post(format!("{service}/api/auth/login"))
            .config()
            .http_status_as_error(false)
            .build()
            .send_json(serde_json::json!({ "email": "a@example.com", "password": "wrong" }))
            .expect("a response");
        // Each minute, 50 people ask for 500 KB at once.
        if started.elapsed().as_secs() / 60 > bursts {
            bursts += 1;
            thread::scope(|scope| {
                for _ in 0..50 {
                    scope.spawn(|| get(&format!("{service}/load/posts")).expect("a list"));
                }
            });
        }
        thread::sleep(Duration::from_millis(100));
    }
}

type Incident = (
    &'static str,
    &'static [&'static str],
    fn(&Incidents, &str, &[&str]),
);

/// Each incident: its name, the alerts that it raises, and how it comes about.
const INCIDENTS: [Incident; 13] = [
    (
        "fragmentation",
        &["MemoryFragmented"],
        |all, name, alerts| {
            let running = all.start(name, &[]);
            running
                .get("/incidents/scatter?bytes=200000000")
                .expect("objects");
            all.wait_for(name, alerts);
        },
    ),
    ("leak", &["MemoryLiveGrowth"], |all, name, alerts| {
        let running = all.start(name, &[]);
        running.get("/load/leak?bytes=500000").expect("a leak");
        all.wait_for(name, alerts);
    }),
    ("slow-leak", &["MemorySlowLeak"], |all, name, alerts| {
        let running = all.start(name, &[]);
        running.get("/load/leak?bytes=50000").expect("a leak");
        thread::sleep(2 * DAY);
        all.wait_for(name, alerts);
    }),
    (
        "larger-response",
        &["RouteMemoryGrowth"],
        |all, name, alerts| {
            let running = all.start(name, &[]);
            under_load(&running, "/load/posts?posts=10", 2, 100, || {
                thread::sleep(DAY)
            });
            under_load(&running, "/load/posts?posts=4500", 3, 100, || {
                all.wait_for(name, alerts);
            });
        },
    ),
    (
        "container-killed-again-and-again",
        &[
            "MemoryBlackBoxWritten",
            "MemoryBurstNearLimit",
            "MemoryNearLimit",
            "ProcessRestarts",
        ],
        |all, name, alerts| {
            let cgroup = Cgroup::new(name, LIMIT).expect("a cgroup");
            let mut running = all.start_in(Some(&cgroup), name, &[]);
            let listener = running.memory_listener().expect("a listener");
            let address = listener.trim_start_matches("http://");
            running
                .get("/incidents/keep?bytes=160000000")
                .expect("memory");
            running.get("/load/leak?bytes=100000").expect("a leak");
            for _ in 0..3 {
                running.wait(TIMEOUT).expect("an end");
                let bind = [("MEMORY_ADMIN_BIND", address)];
                running = all.start_in(Some(&cgroup), name, &bind);
                running.get("/load/leak?bytes=10000000").expect("a leak");
            }
            running.wait(TIMEOUT).expect("an end");
            let _restarted = all.start_in(Some(&cgroup), name, &[("MEMORY_ADMIN_BIND", address)]);
            all.wait_for(name, alerts);
        },
    ),
    (
        "slow-dependency-and-few-permits",
        &[
            "RequestsFailed",
            "RequestsRefused",
            "RequestsSlow",
            "RequestsWaiting",
        ],
        |all, name, alerts| {
            let running = all.start(name, &[("REQUESTS_IN_FLIGHT", "2")]);
            under_load(&running, "/load/wait?wait_ms=1000", 60, 10, || {
                all.wait_for(name, alerts);
            });
        },
    ),
    ("missing-table", &["RequestsFailed"], |all, name, alerts| {
        let running = all.start(name, &[]);
        under_load(&running, "/load/stored", 1, 100, || {
            all.wait_for(name, alerts)
        });
    }),
    ("slow-dependency", &["RequestsSlow"], |all, name, alerts| {
        let running = all.start(name, &[]);
        under_load(&running, "/load/wait?wait_ms=1500", 8, 10, || {
            all.wait_for(name, alerts);
        });
    }),
    (
        "long-transactions",
        &["DatabaseConnectionsExhausted"],
        |all, name, alerts| {
            let running = all.start(name, &[("DB_MAX_CONNECTIONS", "3")]);
            under_load(&running, "/incidents/transaction?wait_ms=200", 6, 0, || {
                all.wait_for(name, alerts);
            });
        },
    ),
    (
        "leaked-files",
        &["FileDescriptorsNearLimit"],
        |all, name, alerts| {
            let running = all.start(name, &[]);
            let pid = running.pid().to_string();
            let limited = Command::new("prlimit")
                .args(["--nofile=256", "--pid", &pid])
                .status();
            assert!(limited.expect("prlimit").success());
            let open = || {
                fs::read_dir(format!("/proc/{pid}/fd"))
                    .expect("files")
                    .count()
            };
            while open() < 246 {
                running.get("/incidents/open").expect("a file");
            }
            all.wait_for(name, alerts);
        },
    ),
    ("hang", &["TargetDown"], |all, name, alerts| {
        let running = all.start(name, &[]);
        running.signal("STOP").expect("a signal");
        all.wait_for(name, alerts);
    }),
    ("no-worker", &["JobsWaiting"], |all, name, alerts| {
        let running = all.start(name, &[]);
        register(&running);
        all.wait_for(name, alerts);
    }),
    ("no-mail-server", &["JobsFailed"], |all, name, alerts| {
        let running = all.start(name, &[("MAILER_PORT", "1")]);
        let database = format!("sqlite://{name}/db.sqlite?mode=rwc");
        let queue = format!("sqlite://{name}/queue.sqlite?mode=rwc");
        let worker = Command::new(all.binary)
            .args(["start", "--worker", "--no-banner"])
            .current_dir(all.service.root())
            .env("MAILER_PORT", "1")
            .env("MEMORY_ADMIN_BIND", "127.0.0.1:0")
            .env("DATABASE_URL", database)
            .env("QUEUE_URL", queue)
            .stdout(Stdio::null())
            .spawn();
        let _worker = Killed(worker.expect("a worker"));
        // An increase counts, which the first figure is not.
        thread::sleep(Duration::from_secs(3));
        register(&running);
        all.wait_for(name, alerts);
    }),
];

/// A process, killed on drop.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Registers a user, which queues an email.
fn register(running: &Running) {
    let user = serde_json::json!({
        "name": "Ann", "email": "ann@example.com", "password": "correct horse battery"
    });
    ureq::post(running.url("/api/auth/register"))
        .send_json(user)
        .expect("a user");
}

/// All queries of a dashboard, as Grafana sends them.
fn queries(dashboard: &str, rate_interval: &str) -> Vec<String> {
    let dashboard: Value = serde_json::from_str(dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array());
    targets
        .flatten()
        .filter_map(|target| target["expr"].as_str())
        .map(|query| {
            query
                .replace("$job", "svc")
                .replace("$instance", ".+")
                .replace("$__rate_interval", rate_interval)
        })
        .collect()
}

#[test]
#[ignore = "long: five minutes, and as many processes as incidents"]
fn each_incident_raises_its_alert() {
    if !needs::root() || !needs::program("prometheus") {
        return;
    }
    let (service, binary) = build(&Answers::new("svc").with("background", "sqlite"));
    let rules = service.read("monitoring/alerts.yaml");
    let prometheus = Prometheus::start(&shorten_all(&rules), "500ms").expect("Prometheus");
    let incidents = Incidents {
        service: &service,
        binary: &binary,
        prometheus: &prometheus,
    };
    let ordinary = incidents.start("none", &[]);
    let stop = AtomicBool::new(false);

    thread::scope(|scope| {
        let threads: Vec<_> = INCIDENTS
            .iter()
            .map(|(name, alerts, cause)| {
                let incidents = &incidents;
                (name, scope.spawn(move || cause(incidents, name, alerts)))
            })
            .collect();
        let service = ordinary.url("");
        let stop = &stop;
        scope.spawn(move || ordinary_load(&service, stop));
        let failed: Vec<_> = threads
            .into_iter()
            .filter_map(|(name, thread)| thread.join().is_err().then_some(name))
            .collect();
        stop.store(true, Ordering::Relaxed);
        assert!(failed.is_empty(), "{failed:?}");
    });

    for (name, alerts, _) in INCIDENTS {
        let expected: BTreeSet<_> = alerts.iter().map(ToString::to_string).collect();
        let mut fired = prometheus.fired(name).expect("alerts");
        if !expected.contains("TargetDown") {
            // Restarts and a busy machine may exceed the shortened time for it.
            fired.remove("TargetDown");
        }
        assert_eq!(fired, expected, "{name}");
    }
    assert!(prometheus.fired("none").expect("alerts").is_empty());
    let named = INCIDENTS.iter().flat_map(|(_, alerts, _)| *alerts);
    let named: BTreeSet<&str> = named.copied().collect();
    let all = rules
        .lines()
        .filter_map(|line| line.split_once("- alert: "));
    let all: BTreeSet<&str> = all.map(|(_, name)| name).collect();
    assert_eq!(named, all);

    let has_pressure = cgroup::version() == 2 && fs::metadata("/proc/pressure/memory").is_ok();
    for query in queries(&service.read("monitoring/dashboard.json"), "5s") {
        let series = prometheus.query(&format!("last_over_time(({query})[10m:1s])"));
        let has_series = !series.expect("a valid query").is_empty();
        if has_pressure || !query.contains("pressure") {
            assert!(has_series, "no data: {query}");
        }
    }
}

/// Of a service of each profile with metrics, in a container of 256 MiB.
#[test]
#[ignore = "takes an hour"]
fn an_hour_of_ordinary_load_raises_no_alert() {
    if !needs::root() || !needs::program("prometheus") {
        return;
    }
    let minutes = env::var("MINUTES").map_or(60, |minutes| minutes.parse().expect("a number"));
    let profiles = profiles::all().into_iter().map(|profile| profile.name);
    // `system` has no metrics.
    let profiles: Vec<String> = profiles.filter(|name| name != "system").collect();
    let services: Vec<_> = profiles
        .iter()
        .map(|profile| {
            let answers = Answers::new("svc")
                .with("background", "sqlite")
                .with("memory_profile", profile);
            build(&match profile.as_str() {
                "custom" => answers.with("malloc_conf", "dirty_decay_ms:1000"),
                _ => answers,
            })
        })
        .collect();
    let rules = services[0].0.read("monitoring/alerts.yaml");
    let prometheus = Prometheus::start(&rules, "15s").expect("Prometheus");
    let stop = AtomicBool::new(false);

    thread::scope(|scope| {
        for (profile, (service, binary)) in profiles.iter().zip(&services) {
            let (prometheus, stop) = (&prometheus, &stop);
            scope.spawn(move || {
                let cgroup = Cgroup::new(profile, LIMIT).expect("a cgroup");
                let incidents = Incidents {
                    service,
                    binary,
                    prometheus,
                };
                let running = incidents.start_in(Some(&cgroup), profile, &[]);
                ordinary_load(&running.url(""), stop);
            });
        }
        thread::sleep(Duration::from_secs(60 * minutes));
        stop.store(true, Ordering::Relaxed);
    });

    for profile in &profiles {
        let query = format!("sum(increase(http_server_request_duration_seconds_count{{namespace=\"{profile}\"}}[1h]))");
        println!("{profile}: {:?}", prometheus.query(&query));
        let fired = prometheus.fired(profile).expect("alerts");
        assert!(fired.is_empty(), "{profile}: {fired:?}");
    }
}
