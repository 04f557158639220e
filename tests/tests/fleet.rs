//! Slow tier: many processes of one service on one database and one queue, as `docs/scaling.md`
//! describes. They all start at once on an empty database, are replaced one by one, and are each
//! killed once, while people register. Unix only, because of the signals.
#![cfg(unix)]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc, Mutex, RwLock,
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::json;
use template_tests::{
    needs, postgres::Database, redis::Redis, send_signal, wait_timeout, Answers, Mailbox, Rendered,
    JWT_SECRET,
};

const WEB: usize = 4;
const WORKERS: usize = 3;
/// How long a process may take to start, and to exit.
const TIMEOUT: Duration = Duration::from_secs(40);
/// How many people register at the same time, repeatedly.
const PEOPLE: usize = 4;

/// A service in its production configuration, except that mails need no TLS, and that a lost job is
/// requeued within a minute.
struct Fleet {
    service: Rendered,
    binary: PathBuf,
    env: Vec<(String, String)>,
}

impl Fleet {
    fn new(database: &str, redis: &str, mailbox: &Mailbox) -> Self {
        let service = Answers::new("svc")
            .with("database", "postgres")
            .with("background", "redis")
            .render()
            .expect("the answers render");
        let config = service.root().join("config/production.yaml");
        let text = fs::read_to_string(&config).expect("the configuration");
        let changed = text
            .replace("secure: true # by STARTTLS", "secure: false")
            .replace("age_minutes: 10", "age_minutes: 1")
            .replace("interval_seconds: 60", "interval_seconds: 1");
        assert_ne!(text, changed);
        fs::write(config, changed).expect("the configuration");
        let binary = service.build().expect("it builds");
        let env = [
            ("LOCO_ENV", "production"),
            ("HOST", "https://example.com"),
            ("BINDING", "127.0.0.1"),
            ("DATABASE_URL", database),
            ("DB_MAX_CONNECTIONS", "5"),
            ("REDIS_URL", redis),
            ("JWT_SECRET", JWT_SECRET),
            ("MAILER_HOST", "127.0.0.1"),
            ("MAILER_PORT", mailbox.port()),
            ("MAILER_USER", "user"),
            ("MAILER_PASSWORD", "password"),
            ("MAILER_FROM", "svc@example.com"),
            ("BEHIND_PROXY", "true"),
            ("SHUTDOWN_DRAIN", "2"),
        ];
        let env = env.map(|(name, value)| (name.to_string(), value.to_string()));
        Self {
            service,
            binary,
            env: env.to_vec(),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .current_dir(self.service.root())
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    fn start(&self, name: &str, args: &[&str]) -> Process {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let log = self.service.root().join(format!("{name}-{port}.log"));
        let output = File::create(&log).expect("a log");
        let child = self
            .command()
            .args(args)
            .env("PORT", port.to_string())
            .stdout(output.try_clone().expect("a log"))
            .stderr(output)
            .spawn()
            .expect("it starts");
        Process { child, port, log }
    }

    fn start_web(&self) -> Process {
        self.start("web", &["start", "--no-banner"])
    }

    fn start_worker(&self) -> Process {
        self.start("worker", &["start", "--worker", "--no-banner"])
    }
}

struct Process {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Process {
    fn is_ready(&self) -> bool {
        let url = format!("http://127.0.0.1:{}/_readiness", self.port);
        ureq::get(url).call().is_ok()
    }

    fn wait_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !is_so(self) {
            let ended = self.child.try_wait().expect("its status");
            assert_eq!(ended, None, "{}", read(&self.log));
            assert!(
                started.elapsed() < TIMEOUT,
                "not {what}:\n{}",
                read(&self.log)
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn stop(mut self) {
        send_signal(&self.child, "TERM").expect("a signal");
        let status = wait_timeout(&mut self.child, TIMEOUT).expect("its status");
        let status = status.unwrap_or_else(|| panic!("it does not exit:\n{}", read(&self.log)));
        assert!(status.success(), "{status}:\n{}", read(&self.log));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Sends each request to a process that is ready, like a load balancer that checks each of them ten
/// times a second.
#[derive(Clone, Default)]
struct Balancer {
    ready: Arc<RwLock<Vec<u16>>>,
    processes: Arc<Mutex<Vec<u16>>>,
}

impl Balancer {
    fn start(stopped: &Arc<AtomicBool>) -> Self {
        let balancer = Self::default();
        let (own, stopped) = (balancer.clone(), Arc::clone(stopped));
        thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let mut ready = own.processes.lock().expect("no panic").clone();
                ready.retain(|port| {
                    let url = format!("http://127.0.0.1:{port}/_readiness");
                    let asked = ureq::get(url)
                        .config()
                        .timeout_global(Some(Duration::from_secs(5)))
                        .build()
                        .call();
                    asked.is_ok()
                });
                *own.ready.write().expect("no panic") = ready;
                thread::sleep(Duration::from_millis(100));
            }
        });
        balancer
    }

    fn add(&self, process: &Process) {
        self.processes.lock().expect("no panic").push(process.port);
    }

    fn remove(&self, port: u16) {
        let mut processes = self.processes.lock().expect("no panic");
        processes.retain(|other| *other != port);
    }

    /// Registers a person, and tries another process if one goes away meanwhile: registering again
    /// with the same password changes nothing.
    fn register(&self, email: &str, turn: usize) -> Result<(), String> {
        // One for each person, since registrations from one address are limited.
        let address = format!("2001:db8:0:{turn:x}::1");
        let mut last = String::new();
        for attempt in 0..3 {
            let ready = self.ready.read().expect("no panic").clone();
            let Some(port) = ready.get((turn + attempt) % ready.len().max(1)) else {
                thread::sleep(Duration::from_millis(200));
                last = "no process is ready".to_string();
                continue;
            };
            let person =
                json!({ "name": "A Person", "email": email, "password": "correct horse battery" });
            let response = ureq::post(format!("http://127.0.0.1:{port}/api/auth/register"))
                .config()
                .http_status_as_error(false)
                .timeout_global(Some(Duration::from_secs(20)))
                .build()
                .header("x-forwarded-for", &address)
                .send_json(person);
            match response {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) => return Err(format!("{email}: {}", response.status())),
                Err(err) => last = format!("{email}: {err}"),
            }
        }
        Err(last)
    }
}

/// Registers people, one after another, until stopped. Returns who has registered, and what failed.
fn register_people(
    balancer: &Balancer,
    number: usize,
    run: u128,
    stopped: &AtomicBool,
) -> (Vec<String>, Vec<String>) {
    let (mut registered, mut failed) = (Vec::new(), Vec::new());
    for turn in 0.. {
        if stopped.load(Ordering::Relaxed) {
            break;
        }
        let email = format!("person-{number}-{turn}-{run}@example.com");
        match balancer.register(&email, PEOPLE * turn + number) {
            Ok(()) => registered.push(email),
            Err(err) => failed.push(err),
        }
        thread::sleep(Duration::from_millis(200));
    }
    (registered, failed)
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn a_fleet_starts_at_once_is_replaced_and_killed_and_loses_nothing() {
    let (Some(server), true, true) = (
        needs::postgres(),
        needs::program("psql"),
        needs::program("redis-server"),
    ) else {
        return;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let run = now.expect("a clock").as_millis();
    let database = Database::create(server);
    let redis = Redis::start().expect("Redis");
    let mailbox = Mailbox::open();
    let fleet = Fleet::new(&database.url(), redis.url(), &mailbox);

    // All at once, on an empty database.
    let mut web: Vec<Process> = (0..WEB).map(|_| fleet.start_web()).collect();
    let mut workers: Vec<Process> = (0..WORKERS).map(|_| fleet.start_worker()).collect();
    let mut scheduler = fleet.start("scheduler", &["scheduler"]);
    let stopped = Arc::new(AtomicBool::new(false));
    let balancer = Balancer::start(&stopped);
    for process in &mut web {
        process.wait_until("ready", Process::is_ready);
        balancer.add(process);
    }
    let works = |process: &Process| read(&process.log).contains("Starting background job");
    for process in &mut workers {
        process.wait_until("working", works);
    }
    thread::sleep(Duration::from_millis(500));

    let load: Vec<_> = (0..PEOPLE)
        .map(|number| {
            let (balancer, stopped) = (balancer.clone(), Arc::clone(&stopped));
            thread::spawn(move || register_people(&balancer, number, run, &stopped))
        })
        .collect();

    // Replaced one by one, after the new process has started.
    for process in &mut web {
        let mut new = fleet.start_web();
        new.wait_until("ready", Process::is_ready);
        balancer.add(&new);
        let old = std::mem::replace(process, new);
        let port = old.port;
        old.stop();
        balancer.remove(port);
    }
    for process in &mut workers {
        let new = fleet.start_worker();
        std::mem::replace(process, new).stop();
        process.wait_until("working", works);
    }

    // Each killed once, and restarted as by a supervisor.
    for number in 0..WEB.max(WORKERS) {
        if let Some(process) = web.get_mut(number) {
            let mut new = fleet.start_web();
            std::mem::swap(process, &mut new);
            balancer.remove(new.port);
            drop(new);
            process.wait_until("ready", Process::is_ready);
            balancer.add(process);
        }
        if let Some(process) = workers.get_mut(number) {
            let new = fleet.start_worker();
            drop(std::mem::replace(process, new));
            process.wait_until("working", works);
        }
    }
    let ended = scheduler.child.try_wait().expect("its status");
    assert_eq!(ended, None, "{}", read(&scheduler.log));
    drop(std::mem::replace(
        &mut scheduler,
        fleet.start("scheduler", &["scheduler"]),
    ));

    stopped.store(true, Ordering::Relaxed);
    let (mut registered, mut failed) = (Vec::new(), Vec::new());
    for people in load {
        let (some, others) = people.join().expect("no panic");
        registered.extend(some);
        failed.extend(others);
    }
    assert_eq!(failed, Vec::<String>::new(), "of {}", registered.len());
    assert!(registered.len() > 50, "{}", registered.len());

    // Everyone gets a mail, last of all those whose worker was killed.
    let mut mails: BTreeMap<String, usize> = BTreeMap::new();
    let started = Instant::now();
    while mails.len() < registered.len() && started.elapsed() < Duration::from_secs(180) {
        if let Some(mail) = mailbox.next(Duration::from_secs(5)) {
            let to = mail.lines().find_map(|line| line.strip_prefix("To: "));
            let to = to.expect("a recipient").trim_matches(['<', '>']);
            *mails.entry(to.to_string()).or_default() += 1;
        }
    }
    let lost: Vec<_> = registered
        .iter()
        .filter(|email| !mails.contains_key(*email))
        .collect();
    let twice = mails.values().filter(|count| **count > 1).count();
    println!(
        "{} registered, {} without a mail, {twice} with more than one",
        registered.len(),
        lost.len()
    );
    assert!(lost.is_empty(), "{lost:?}");
    assert!(twice <= WEB + WORKERS, "{twice}");

    assert_a_backup_restores_everything(&fleet, &database, &web[0], &registered[0]);
}

/// Drops all data between the commands in README.md for a backup and for its restoration.
fn assert_a_backup_restores_everything(
    fleet: &Fleet,
    database: &Database,
    web: &Process,
    email: &str,
) {
    let readme = fleet.service.read("README.md");
    let documented = |program: &str| {
        let command = readme.split('`').find(|code| code.starts_with(program));
        command.unwrap_or_else(|| panic!("no {program} in README.md"))
    };
    let run = |command: &str| {
        let output = Command::new("bash")
            .args(["-c", command])
            .current_dir(fleet.service.root())
            .env("DATABASE_URL", database.url())
            .output()
            .expect("bash runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {error}");
    };
    let log_in = || {
        ureq::post(format!("http://127.0.0.1:{}/api/auth/login", web.port))
            .send_json(json!({ "email": email, "password": "correct horse battery" }))
            .is_ok()
    };
    assert!(log_in());

    run(documented("pg_dump"));
    run("psql \"$DATABASE_URL\" --command 'DROP SCHEMA public CASCADE'");
    assert!(!log_in());
    run("psql \"$DATABASE_URL\" --command 'CREATE SCHEMA public'");
    run(documented("pg_restore"));

    assert!(log_in());
}
