//! Slow tier: the example job of the schedule runs.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use template_tests::{Answers, Rendered};

struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Lists the schedule, then runs it with the example job every second, until it prints `result`.
fn assert_scheduled(answers: &Answers, task: &str, setup: &[&[&str]], result: &str) {
    let service: Rendered = answers.render().expect("the answers render");
    let binary = service.build().expect("it builds");
    let command = |args: &[&str]| {
        let mut command = Command::new(&binary);
        command
            .args(args)
            .current_dir(service.root())
            .env("LOCO_ENV", "development");
        command
    };
    let output = command(&["scheduler", "--list"]).output().expect("it runs");
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(list.contains(task), "{list}");

    let config = service.root().join("config/development.yaml");
    let text = fs::read_to_string(&config).expect("the configuration");
    let often = text.replace("0 30 3 * * *", "* * * * * *");
    assert_ne!(text, often, "no job runs every night");
    fs::write(&config, often).expect("the configuration");
    for args in setup {
        let status = command(args).stdout(Stdio::null()).status();
        assert!(status.expect("it runs").success(), "{args:?}");
    }
    let mut scheduler = KillOnDrop(
        command(&["scheduler"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts"),
    );
    let stdout = BufReader::new(scheduler.0.stdout.take().expect("piped"));
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        stdout
            .lines()
            .map_while(Result::ok)
            .for_each(|line| drop(sender.send(line)));
    });

    let mut log = Vec::new();
    let end = Instant::now() + Duration::from_secs(60);
    while !log.iter().any(|line: &String| line.starts_with(result)) {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => log.push(line),
            Err(err) => panic!("{err}:\n{}", log.join("\n")),
        }
    }
}

#[test]
fn expired_tokens_are_cleared_on_schedule() {
    assert_scheduled(
        &Answers::new("svc").with("background", "sqlite"),
        "user:clear_tokens",
        &[&["db", "migrate"]],
        "cleared 0 tokens and magic links",
    );
}

#[test]
fn a_service_without_users_has_a_scheduled_task_too() {
    let lightweight = Answers::new("svc").with("starter", "lightweight");
    assert_scheduled(&lightweight, "memory", &[], "allocator");
}
