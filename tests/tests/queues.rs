//! Slow tier: each kind of queue, with the web process and the worker apart. The job is the mail
//! that a registration sends; a mail server can hold it halfway. Unix only, because of the signals.
#![cfg(unix)]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{json, Value};
use template_tests::{
    needs, postgres::Database, redis::Redis, send_signal, wait_timeout, Answers, Rendered, Running,
};

/// More than enough time for a worker to take a job and send its mail.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A mail server that records recipients, and can pause in the middle of a mail.
struct MailServer {
    port: u16,
    state: Arc<(Mutex<Mails>, Condvar)>,
}

#[derive(Default)]
struct Mails {
    paused: bool,
    started: Vec<String>,
    delivered: Vec<String>,
}

impl MailServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::<(Mutex<Mails>, Condvar)>::default();
        let mails = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mails = Arc::clone(&mails);
                // It fails if the client is killed, which does not matter.
                thread::spawn(move || drop(receive(stream, &mails)));
            }
        });
        Self { port, state }
    }

    /// Pauses in the middle of each mail from now on.
    fn pause(&self) {
        self.state.0.lock().expect("no panic").paused = true;
    }

    fn resume(&self) {
        self.state.0.lock().expect("no panic").paused = false;
        self.state.1.notify_all();
    }

    fn wait_until_started(&self, address: &str) {
        self.wait_until(address, "started", TIMEOUT, |mails| mails.started.clone());
    }

    fn wait_until_delivered(&self, address: &str, limit: Duration) {
        self.wait_until(address, "delivered", limit, |mails| mails.delivered.clone());
    }

    fn wait_until(
        &self,
        address: &str,
        what: &str,
        limit: Duration,
        list: impl Fn(&Mails) -> Vec<String>,
    ) {
        let started = Instant::now();
        while !list(&self.state.0.lock().expect("no panic")).contains(&address.to_string()) {
            assert!(started.elapsed() < limit, "no mail to {address} was {what}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn delivered(&self, address: &str) -> usize {
        let mails = self.state.0.lock().expect("no panic");
        mails.delivered.iter().filter(|to| *to == address).count()
    }
}

/// Just enough SMTP to receive a mail.
fn receive(stream: TcpStream, state: &(Mutex<Mails>, Condvar)) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let mut stream = stream;
    let mut to = String::new();
    write!(stream, "220 test\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        let command = line.to_uppercase();
        if let Some((_, address)) = line.split_once("TO:<") {
            to = address.split('>').next().unwrap_or_default().to_string();
        } else if command.starts_with("DATA") {
            write!(stream, "354 go on\r\n")?;
            for line in lines.by_ref() {
                if line? == "." {
                    break;
                }
            }
            let mut mails = state.0.lock().expect("no panic");
            mails.started.push(to.clone());
            while mails.paused {
                mails = state.1.wait(mails).expect("no panic");
            }
            drop(mails);
            // A mail does not count if its client was killed meanwhile.
            if is_open(&stream)? {
                state.0.lock().expect("no panic").delivered.push(to.clone());
            }
            write!(stream, "250 accepted\r\n")?;
            continue;
        } else if command.starts_with("QUIT") {
            write!(stream, "221 bye\r\n")?;
            return Ok(());
        }
        write!(stream, "250 ok\r\n")?;
    }
    Ok(())
}

/// Whether the client is still there, waiting for a reply.
fn is_open(stream: &TcpStream) -> std::io::Result<bool> {
    stream.set_nonblocking(true)?;
    let silent = stream
        .peek(&mut [0])
        .is_err_and(|err| err.kind() == ErrorKind::WouldBlock);
    stream.set_nonblocking(false)?;
    Ok(silent)
}

fn render(background: &str) -> Rendered {
    Answers::new("svc")
        .with("background", background)
        .render()
        .expect("the answers render")
}

/// The service's binary, built once for each kind of queue.
fn binary(background: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, (Rendered, PathBuf)>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, binary) = built.entry(background.to_string()).or_insert_with(|| {
        let service = render(background);
        let binary = service.build().expect("it builds");
        (service, binary)
    });
    binary.clone()
}

/// A service whose web process is running, with workers that come and go.
struct Site {
    service: Rendered,
    binary: PathBuf,
    env: Vec<(String, String)>,
    mails: MailServer,
    web: Running,
    users: usize,
    run: u128,
}

impl Site {
    /// `variable` is the one for the URL of the queue.
    fn start(background: &str, variable: &str, address: &str) -> Self {
        Self::start_with_env(background, &[(variable, address)])
    }

    fn start_with_env(background: &str, variables: &[(&str, &str)]) -> Self {
        let service = render(background);
        recover_within_a_minute(&service);
        let binary = binary(background);
        let mails = MailServer::start();
        let port = mails.port.to_string();
        let mailer = [("MAILER_HOST", "127.0.0.1"), ("MAILER_PORT", port.as_str())];
        let env: Vec<(String, String)> = variables
            .iter()
            .chain(&mailer)
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        let pairs: Vec<(&str, &str)> = env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let web = service.start(&binary, &pairs).expect("it starts");
        let run = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock")
            .as_millis();
        Self {
            service,
            binary,
            env,
            mails,
            web,
            users: 0,
            run,
        }
    }

    /// Registers a user, which sends a mail, and returns the email address.
    fn register(&mut self) -> String {
        self.users += 1;
        let email = format!("user{}-{}@example.com", self.users, self.run);
        ureq::post(self.web.url("/api/auth/register"))
            .send_json(json!({ "name": "New User", "email": email, "password": "correct horse" }))
            .expect("2xx");
        email
    }

    /// The numbers of jobs that are queued, running and completed, according to the web process.
    fn jobs(&mut self) -> [u64; 3] {
        self.count(["queued", "processing", "completed"])
    }

    fn count<const N: usize>(&mut self, statuses: [&str; N]) -> [u64; N] {
        let metrics = self.web.memory_listener().expect("a listener") + "/metrics";
        let text = ureq::get(metrics)
            .call()
            .expect("2xx")
            .body_mut()
            .read_to_string()
            .expect("text");
        statuses.map(|status| {
            let metric = format!("background_jobs{{status=\"{status}\"}} ");
            text.lines()
                .find_map(|line| line.strip_prefix(&metric)?.parse().ok())
                .unwrap_or_else(|| panic!("no {metric}in:\n{text}"))
        })
    }

    fn wait_for_jobs(&mut self, expected: [u64; 3]) {
        let started = Instant::now();
        while self.jobs() != expected {
            assert!(started.elapsed() < TIMEOUT, "{:?}", self.jobs());
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(args)
            .current_dir(self.service.root())
            .env("LOCO_ENV", "development")
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    fn start_worker(&self) -> Worker {
        self.start_with(&["--worker"])
    }

    /// Starts another process of the service.
    fn start_with(&self, flags: &[&str]) -> Worker {
        let log = self.service.root().join("worker.log");
        let output = File::create(&log).expect("a log");
        let child = self
            .command(&["start", "--no-banner"])
            .args(flags)
            .stdout(output.try_clone().expect("a log"))
            .stderr(output)
            .spawn()
            .expect("it starts");
        Worker { child, log }
    }

    /// Registers a user, and kills the worker while it sends the mail.
    fn register_and_kill_the_worker(&mut self, worker: Worker) -> String {
        self.mails.pause();
        let email = self.register();
        self.mails.wait_until_started(&email);
        worker.kill();
        assert_eq!(self.mails.delivered(&email), 0);
        email
    }

    /// Queues a job for this worker, with these arguments as JSON.
    fn import(&self, worker: &str, args: &str) {
        let file = self.service.root().join("jobs.yaml");
        let job = format!(
            "- id: any\n  name: {worker}\n  task_data: {args}\n  status: queued\n  \
             run_at: 2026-01-01T00:00:00Z\n  interval: null\n  created_at: null\n  \
             updated_at: null\n  tags: null\n"
        );
        fs::write(&file, job).expect("a file");
        let file = file.display().to_string();
        self.run(&["jobs", "import", "--file", &file]);
    }

    /// The status and body of the response of `/_readiness`.
    fn readiness(&self) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let url = self.web.url("/_readiness");
        let mut response = agent.get(url).call().expect("a response");
        let body = response.body_mut().read_json().expect("JSON");
        (response.status().as_u16(), body)
    }

    fn run(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().expect("it runs");
        assert!(
            output.status.success(),
            "{args:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }
}

/// A worker process, killed on drop.
struct Worker {
    child: Child,
    log: PathBuf,
}

impl Worker {
    fn kill(mut self) {
        send_signal(&self.child, "KILL").expect("a signal");
        self.child.wait().expect("it is gone");
    }

    /// Sends SIGTERM, and gives the process time to notice.
    fn terminate(&mut self) {
        send_signal(&self.child, "TERM").expect("a signal");
        thread::sleep(Duration::from_secs(1));
        let ended = self.child.try_wait().expect("its status");
        assert_eq!(ended, None, "it did not wait for its job");
    }

    fn wait_for(&self, line: &str) {
        let started = Instant::now();
        while !read(&self.log).contains(line) {
            assert!(
                started.elapsed() < TIMEOUT,
                "no {line} in:\n{}",
                read(&self.log)
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn exit_code(&mut self) -> Option<i32> {
        let status = wait_timeout(&mut self.child, TIMEOUT).expect("its status");
        status
            .unwrap_or_else(|| panic!("it does not exit:\n{}", read(&self.log)))
            .code()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Sets shorter times than those of the service.
fn recover_within_a_minute(service: &Rendered) {
    let config = service.root().join("config/development.yaml");
    let text = read(&config);
    let shorter = text
        .replace("age_minutes: 10", "age_minutes: 1")
        .replace("interval_seconds: 60", "interval_seconds: 1");
    assert_ne!(text, shorter, "the configuration has no such settings");
    fs::write(config, shorter).expect("the configuration");
}

/// Makes processes that start from now on drain for a while on SIGTERM.
fn drain_for_seconds(service: &Rendered, seconds: u64) {
    let config = service.root().join("config/development.yaml");
    let text = read(&config);
    let settings = format!("\nsettings:\n  shutdown:\n    drain: {seconds}\n");
    let drained = text.replace("\nsettings:\n", &settings);
    assert_ne!(text, drained);
    fs::write(config, drained).expect("the configuration");
}

/// What each kind of queue guarantees.
fn assert_keeps_its_guarantees(background: &str, variable: &str, address: &str) {
    let mut site = Site::start(background, variable, address);

    // A job waits while there is no worker, and is then run by a separate process.
    let email = site.register();
    thread::sleep(Duration::from_secs(2));
    assert_eq!(site.mails.delivered(&email), 0, "the web process sent it");
    let mut worker = site.start_worker();
    site.mails.wait_until_delivered(&email, TIMEOUT);

    // A job that fails is logged: this one has no arguments.
    site.import("DownloadWorker", "{}");
    worker.wait_for("job failed");

    // On SIGTERM, the worker finishes the running job, and logs that it waits for it.
    site.mails.pause();
    let email = site.register();
    site.mails.wait_until_started(&email);
    worker.terminate();
    worker.wait_for("1 of MailerWorker");
    site.mails.resume();
    assert_eq!(worker.exit_code(), Some(0), "{}", read(&worker.log));
    assert_eq!(site.mails.delivered(&email), 1);

    // A job whose worker was killed is requeued by an operator's command,
    let worker = site.start_worker();
    let email = site.register_and_kill_the_worker(worker);
    site.mails.resume();
    let worker = site.start_worker();
    site.run(&["jobs", "requeue", "--from-age", "0"]);
    site.mails.wait_until_delivered(&email, TIMEOUT);

    // and automatically, within the configured time.
    let email = site.register_and_kill_the_worker(worker);
    site.mails.resume();
    let _worker = site.start_worker();
    site.mails
        .wait_until_delivered(&email, Duration::from_secs(120));
    thread::sleep(Duration::from_secs(3));
    assert_eq!(
        site.mails.delivered(&email),
        1,
        "the mail was sent more than once"
    );
}

/// The URL of a queue in a file, and the temporary folder that contains it.
fn sqlite() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("queue.sqlite");
    let url = format!("sqlite://{}?mode=rwc", file.display());
    (directory, url)
}

#[test]
fn a_job_in_redis_survives_its_worker() {
    if needs::program("redis-server") {
        let redis = Redis::start().expect("Redis");
        assert_keeps_its_guarantees("redis", "REDIS_URL", redis.url());
    }
}

#[test]
fn a_job_in_postgres_survives_its_worker() {
    if let Some(url) = needs::postgres() {
        assert_keeps_its_guarantees("postgres", "QUEUE_URL", &url);
    }
}

#[test]
fn a_job_in_sqlite_survives_its_worker() {
    let (_directory, url) = sqlite();
    assert_keeps_its_guarantees("sqlite", "QUEUE_URL", &url);
}

#[test]
fn the_metrics_count_the_jobs_until_they_are_tidied_away() {
    let (_directory, url) = sqlite();
    let mut site = Site::start("sqlite", "QUEUE_URL", &url);
    site.mails.pause();
    let email = site.register();
    // The mail is queued after the response.
    site.wait_for_jobs([1, 0, 0]);
    let _worker = site.start_worker();
    site.mails.wait_until_started(&email);
    assert_eq!(site.jobs(), [0, 1, 0]);
    site.mails.resume();
    site.mails.wait_until_delivered(&email, TIMEOUT);
    site.wait_for_jobs([0, 0, 1]);

    site.run(&["task", "jobs:tidy"]);

    assert_eq!(site.jobs(), [0, 0, 0]);
}

#[test]
fn the_metrics_count_the_jobs_in_redis() {
    if !needs::program("redis-server") {
        return;
    }
    let redis = Redis::start().expect("Redis");
    let mut site = Site::start("redis", "REDIS_URL", redis.url());
    let wait_for = |site: &mut Site, expected: [u64; 2]| {
        let started = Instant::now();
        while site.count(["queued", "processing"]) != expected {
            assert!(started.elapsed() < TIMEOUT, "{expected:?}");
        }
    };
    site.mails.pause();
    let email = site.register();
    wait_for(&mut site, [1, 0]);

    let _worker = site.start_worker();
    site.mails.wait_until_started(&email);
    wait_for(&mut site, [0, 1]);

    site.mails.resume();
    site.mails.wait_until_delivered(&email, TIMEOUT);
    wait_for(&mut site, [0, 0]);
}

#[test]
fn a_worker_in_the_web_process_takes_no_more_jobs_after_sigterm() {
    let (_directory, url) = sqlite();
    let mut site = Site::start("sqlite", "QUEUE_URL", &url);
    drain_for_seconds(&site.service, 5);
    let mut both = site.start_with(&["--server-and-worker", "--port", "0"]);
    site.mails.pause();
    let early = site.register();
    site.mails.wait_until_started(&early);

    both.terminate();
    let late = site.register();
    site.mails.resume();

    assert_eq!(both.exit_code(), Some(0), "{}", read(&both.log));
    assert_eq!(site.mails.delivered(&early), 1);
    assert_eq!(site.mails.delivered(&late), 0);
    let _worker = site.start_worker();
    site.mails.wait_until_delivered(&late, TIMEOUT);
}

#[test]
fn an_unavailable_queue_is_reported_but_leaves_the_process_ready() {
    if !needs::program("redis-server") {
        return;
    }
    let redis = Redis::start().expect("Redis");
    let site = Site::start("redis", "REDIS_URL", redis.url());
    assert_eq!(site.readiness(), (200, json!({ "ok": true })));

    drop(redis);

    let missing = json!({ "ok": true, "missing": ["queue"] });
    assert_eq!(site.readiness(), (200, missing));
}

#[test]
fn a_job_that_no_worker_finishes_is_not_kept_for_ever() {
    let (Some(server), true) = (needs::postgres(), needs::program("psql")) else {
        return;
    };
    let database = Database::create(server);
    let site = Site::start("postgres", "QUEUE_URL", &database.url());
    for (status, days) in [
        ("failed", 13),
        ("failed", 15),
        ("processing", 13),
        ("processing", 15),
        ("queued", 15),
    ] {
        let inserted = database.query(&format!(
            "INSERT INTO pg_loco_queue (id, name, task_data, status, run_at, created_at) VALUES \
             ('{status}-{days}', 'UnknownWorker', '{{}}', '{status}', now(), \
             now() - interval '{days} days')"
        ));
        assert_eq!(inserted, "INSERT 0 1");
    }

    site.run(&["task", "jobs:tidy"]);

    let left = database.query("SELECT id FROM pg_loco_queue ORDER BY id");
    assert_eq!(left, "failed-13\nprocessing-13\nqueued-15");
}

#[test]
fn processes_that_start_at_once_on_an_empty_queue_all_work() {
    let (Some(server), true) = (needs::postgres(), needs::program("psql")) else {
        return;
    };
    let database = Database::create(server);
    let binary = binary("postgres");
    let processes: Vec<(Rendered, Child)> = (0..6)
        .map(|_| {
            let service = render("postgres");
            let log = File::create(service.root().join("worker.log")).expect("a log");
            let child = Command::new(&binary)
                .args(["start", "--worker", "--no-banner"])
                .current_dir(service.root())
                .env("QUEUE_URL", database.url())
                .stdout(log.try_clone().expect("a log"))
                .stderr(log)
                .spawn()
                .expect("it starts");
            (service, child)
        })
        .collect();

    for (service, child) in processes {
        let log = service.root().join("worker.log");
        Worker { child, log }.wait_for("Starting background job processing");
    }
}

/// A disk of this size in mebibytes, unmounted on drop.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(mebibytes: u32) -> Option<Self> {
        let mut mount = needs::command_as_root("mount")?;
        let directory = tempfile::tempdir().expect("a directory");
        let status = mount
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"])
            .arg(directory.path())
            .status()
            .expect("it runs");
        assert!(status.success());
        Some(Self(directory))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A killed process keeps it open for a moment.
        if let Some(mut umount) = needs::command_as_root("umount") {
            drop(umount.arg("--lazy").arg(self.0.path()).status());
        }
    }
}

#[test]
fn a_process_whose_disk_is_full_is_not_ready() {
    let Some(disk) = Disk::new(16) else {
        return;
    };
    let (_directory, queue) = sqlite();
    let database = disk.0.path().join("data.sqlite");
    let url = format!("sqlite://{}?mode=rwc", database.display());
    let site = Site::start_with_env("sqlite", &[("DATABASE_URL", &url), ("QUEUE_URL", &queue)]);
    assert_eq!(site.readiness(), (200, json!({ "ok": true })));

    let filler = disk.0.path().join("filler");
    let mut file = File::create(&filler).expect("a file");
    while file.write_all(&[0; 4096]).is_ok() {}
    let full = json!({ "ok": false, "missing": ["disk"] });
    assert_eq!(site.readiness(), (503, full));

    drop(file);
    fs::remove_file(filler).expect("it was there");
    assert_eq!(site.readiness(), (200, json!({ "ok": true })));
}
