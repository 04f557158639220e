//! Slow tier: the commands in the documents and comments of a service are run as written, from the
//! top, on an untouched render. Unix only, as they are written for its shell.
#![cfg(unix)]

use std::{
    collections::HashSet,
    env,
    fs::{self, File},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use template_tests::{
    needs, send_signal, target_dir, wait_timeout, Answers, Mailbox, Rendered, JWT_SECRET,
};

/// Commands left to other tests, since they need a container engine (docker_steps.rs), a cluster
/// (linters.rs), a later version of the template (update.rs), more code (scaffold.rs), memory to
/// profile or a record (memory_ops.rs, the crate's tests) or a separate folder (memory_crate.rs); the installation of what the
/// tests need anyway; and the task that docs/development.md has as an example.
const TESTED_ELSEWHERE: [&str; 15] = [
    "cargo generate ",
    "cargo install ",
    "cargo loco generate model",
    "cargo loco generate scaffold",
    "cargo loco generate worker",
    "cargo loco generate …",
    "cargo loco task post:archive ",
    "cargo test --all-features",
    "cp -R ../svc-template/",
    "curl -sf -o ",
    "curl -sf localhost:5151/memory/black_box/",
    "docker ",
    "git ",
    "kubectl ",
    "rm -r ../svc-template/",
];

/// What a command starts with.
const PROGRAMS: [&str; 10] = [
    "cargo ",
    "curl ",
    "docker ",
    "git ",
    "kubectl ",
    "npm ",
    "openssl ",
    "svc-cli ",
    "./svc-cli ",
    "touch ",
];

/// The commands in docs/development.md for services with a queue.
const QUEUE_COMMANDS: [&str; 2] = ["cargo loco jobs", "cargo loco start --worker"];

/// How long a server may take to respond, including its build.
const START_TIMEOUT: Duration = Duration::from_secs(900);
/// How long a scheduler must run without an error.
const SCHEDULER_TIME: Duration = Duration::from_secs(10);

/// The commands in the documents of a service, in the order in which a newcomer reads them,
/// followed by those in the comments of its other files.
fn scripts(service: &Rendered) -> Vec<String> {
    let (mut documents, others): (Vec<_>, Vec<_>) = service
        .files()
        .into_iter()
        .partition(|path| path.extension() == Some("md".as_ref()));
    documents.sort_by_key(|path| {
        (
            path != Path::new("README.md"),
            path != Path::new("AGENTS.md"),
        )
    });
    let mut scripts = Vec::new();
    for path in documents {
        scripts.extend(scripts_of_document(&service.read(path)));
    }
    for path in others {
        // Images and fonts have none.
        let text = fs::read_to_string(service.root().join(path)).unwrap_or_default();
        scripts.extend(scripts_of_comments(&text));
    }
    scripts
}

/// The commands of a document: each code block, and each command in the text.
fn scripts_of_document(document: &str) -> Vec<String> {
    let mut scripts = Vec::new();
    for (number, part) in document.split("```").enumerate() {
        if number % 2 == 0 {
            scripts.extend(quoted(part));
        } else if let Some(block) = part.strip_prefix("sh\n") {
            scripts.push(block.to_string());
        }
    }
    scripts
}

/// The commands in comments: those in backticks, and those that start a comment or follow a colon.
fn scripts_of_comments(file: &str) -> Vec<String> {
    let mut scripts = Vec::new();
    for line in file.lines() {
        let marks = ["# ", "// ", "//! ", "/// "];
        let comment = marks.iter().find_map(|mark| {
            let (code, comment) = line.split_once(mark)?;
            (code.is_empty() || code.ends_with(' ')).then_some(comment)
        });
        let Some(comment) = comment else { continue };
        scripts.extend(quoted(comment));
        let plain = comment.rsplit(": ").next().unwrap_or(comment);
        if is_command(plain) {
            scripts.push(plain.to_string());
        }
    }
    scripts
}

/// The commands among the texts in backticks.
fn quoted(text: &str) -> impl Iterator<Item = String> + '_ {
    let code = text.split('`').skip(1).step_by(2);
    let code = code.map(|code| code.split_whitespace().collect::<Vec<_>>().join(" "));
    code.filter(|code| is_command(code))
}

fn is_command(code: &str) -> bool {
    // On its own, this only refers to the program.
    code != "cargo loco" && PROGRAMS.iter().any(|program| code.starts_with(program))
}

fn is_tested_elsewhere(line: &str) -> bool {
    TESTED_ELSEWHERE
        .iter()
        .any(|command| line.starts_with(command))
}

/// Whether a command runs until it is stopped.
fn is_server(line: &str) -> bool {
    let command = line.split(" #").next().unwrap_or_default().trim();
    command.starts_with("cargo loco start")
        || command == "cargo loco scheduler"
        || command.starts_with("cargo loco scheduler --tag")
        || ["svc-cli scheduler", "npm run dev"].contains(&command)
}

/// Whether the service answers requests, which a scheduler or a worker does not.
fn is_serving() -> bool {
    ureq::get("http://localhost:5150/_readiness").call().is_ok()
}

/// A newcomer who follows the documents of a service.
struct Newcomer {
    service: Rendered,
    /// The content of the image: the binary, the configuration, a folder for the data.
    image: TempDir,
    mailbox: Mailbox,
    server: Option<Child>,
}

impl Newcomer {
    fn new(answers: &Answers) -> Self {
        let service = answers.render().expect("the answers render");
        let image = tempfile::tempdir().expect("a directory");
        fs::create_dir(image.path().join("config")).expect("a directory");
        fs::create_dir(image.path().join("data")).expect("a directory");
        let production = service.read("config/production.yaml");
        fs::write(image.path().join("config/production.yaml"), production).expect("a file");
        // By default, curl does not fail on 4xx and 5xx.
        fs::write(
            image.path().join(".curlrc"),
            "fail-with-body\nmax-time = 20\n",
        )
        .expect("a file");
        Self {
            service,
            image,
            mailbox: Mailbox::open(),
            server: None,
        }
    }

    /// Runs the lines of a script in one shell. A server keeps running for the following scripts.
    fn follow(&mut self, script: &str) {
        let mut lines = String::new();
        for line in script.replace("\\\n", " ").lines() {
            if is_tested_elsewhere(line) {
                continue;
            }
            if is_server(line) {
                self.run(&std::mem::take(&mut lines));
                self.serve(line);
            } else {
                lines.push_str(line);
                lines.push('\n');
            }
        }
        self.run(&lines);
    }

    fn run(&mut self, lines: &str) {
        if lines.trim().is_empty() {
            return;
        }
        if lines.contains("localhost:515") && !is_serving() {
            self.serve("cargo loco start");
        }
        let lines = lines.replace("<worker>", "DownloadWorker");
        println!("$ {lines}");
        let output = self.shell(&lines).output().expect("bash runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        // `doctor` looks for the newest Loco in the registry, which some networks block.
        let is_offline = lines.contains("loco doctor")
            && text.matches('❌').count() == 1
            && text.contains("❌ Checking Loco version failed");
        assert!(output.status.success() || is_offline, "{lines}\n{text}");
    }

    fn serve(&mut self, command: &str) {
        self.stop();
        println!("$ {command}");
        let path = self.image.path().join("server.log");
        let log = File::create(&path).expect("a log");
        let child = self
            .shell(command)
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("bash runs");
        let child = self.server.insert(child);
        let log = || fs::read_to_string(&path).unwrap_or_default();
        let started = Instant::now();
        let is_up = || match command {
            command if command.contains("npm") => ureq::get("http://localhost:5173").call().is_ok(),
            // It prints nothing before its first job.
            command if command.contains("scheduler") => started.elapsed() > SCHEDULER_TIME,
            command if command.contains("--worker") => log().contains("Starting background job"),
            _ => is_serving(),
        };
        while !is_up() {
            let ended = child.try_wait().expect("its status");
            assert_eq!(ended, None, "{command}\n{}", log());
            assert!(started.elapsed() < START_TIMEOUT, "{command}\n{}", log());
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            send_signal(&server, "TERM").expect("a signal");
            let status = wait_timeout(&mut server, Duration::from_secs(40)).expect("its status");
            assert!(status.is_some(), "it does not exit");
            kill_group(&server);
        }
    }

    /// A shell in the directory of the service, in its front end for npm, or in its image for what
    /// is run there.
    fn shell(&self, lines: &str) -> Command {
        let built = target_dir().join("debug");
        let path = env::var("PATH").expect("PATH");
        let mut shell = self.service.command("bash");
        shell
            .args(["-euo", "pipefail", "-c", lines])
            .stdin(Stdio::null())
            .env("CURL_HOME", self.image.path())
            // What `cargo doc --open` starts.
            .env("BROWSER", "true")
            .env("PATH", format!("{}:{path}", built.display()));
        if lines.starts_with("npm ") && !lines.contains("--prefix") {
            shell.current_dir(self.service.root().join("frontend"));
        }
        if lines.contains("svc-cli ") {
            shell.current_dir(self.image.path()).envs([
                ("LOCO_ENV", "production"),
                ("HOST", "https://example.com"),
                ("DATABASE_URL", "sqlite://data/svc.sqlite?mode=rwc"),
                ("QUEUE_URL", "sqlite://data/svc_queue.sqlite?mode=rwc"),
                ("JWT_SECRET", JWT_SECRET),
                ("MAILER_HOST", "127.0.0.1"),
                ("MAILER_PORT", self.mailbox.port()),
                ("MAILER_USER", "user"),
                ("MAILER_PASSWORD", "password"),
                ("MAILER_FROM", "Svc <svc@example.com>"),
            ]);
        }
        shell
    }
}

/// Ends a server with its children: npm leaves them behind.
fn kill_group(server: &Child) {
    let group = format!("-{}", server.id());
    let killed = Command::new("kill").args(["-KILL", "--", &group]).output();
    drop(killed.expect("kill runs"));
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            kill_group(&server);
            drop(server.wait());
        }
    }
}

fn with_starter(starter: &str) -> Answers {
    Answers::new("svc").with("starter", starter)
}

/// Runs each command once, except those that start with one of `skipped`.
fn follow(answers: Answers, skipped: &[&str]) {
    // Two of them would need the same ports.
    static PORTS: Mutex<()> = Mutex::new(());
    let _turn = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut newcomer = Newcomer::new(&answers.with("heap_profiling", "true"));
    let mut done = HashSet::new();
    for script in scripts(&newcomer.service) {
        let is_wanted = !skipped.iter().any(|command| script.starts_with(command));
        if is_wanted && done.insert(script.clone()) {
            newcomer.follow(&script);
        }
    }
    newcomer.stop();
    assert!(done.len() > 20, "{done:?}");
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn the_commands_of_an_api_work() {
    if needs::program("sea-orm-cli") && needs::program("cargo-nextest") {
        follow(Answers::new("svc").with("background", "sqlite"), &[]);
    }
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn the_commands_of_a_service_with_a_front_end_work() {
    let has_tools = ["sea-orm-cli", "cargo-nextest", needs::NPM].map(needs::program);
    if has_tools == [true; 3] {
        follow(with_starter("saas-client"), &QUEUE_COMMANDS);
    }
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn the_commands_of_a_service_with_pages_work() {
    if needs::program("sea-orm-cli") && needs::program("cargo-nextest") {
        follow(with_starter("saas-server"), &QUEUE_COMMANDS);
    }
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn the_commands_of_a_lightweight_service_work() {
    follow(with_starter("lightweight"), &QUEUE_COMMANDS);
}
