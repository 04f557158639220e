use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::{bail, Context, Result};

/// A service that was started, and is stopped when it is dropped.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    log: Vec<String>,
    port: u16,
}

impl Running {
    /// Starts the service's binary in `directory` and waits until it answers.
    ///
    /// # Errors
    ///
    /// When it ends, or does not answer within half a minute; the error holds its log.
    pub fn start(binary: &Path, directory: &Path, env: &[(&str, &str)]) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["start", "--no-banner"]);
        Self::start_with(command, binary, directory, env)
    }

    /// The same in a cgroup, whose file of processes this is.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_in(
        cgroup: &Path,
        binary: &Path,
        directory: &Path,
        env: &[(&str, &str)],
    ) -> Result<Self> {
        let mut command = Command::new("sh");
        let enter = "echo $$ > \"$0\" && exec \"$1\" start --no-banner";
        command.args(["-c", enter]).arg(cgroup).arg(binary);
        Self::start_with(command, binary, directory, env)
    }

    fn start_with(
        mut command: Command,
        binary: &Path,
        directory: &Path,
        env: &[(&str, &str)],
    ) -> Result<Self> {
        let port = free_port();
        let mut child = command
            .current_dir(directory)
            .env("PORT", port.to_string())
            .env("NO_COLOR", "1")
            .env("LOCO_ENV", "development")
            // A port of its own for the listener of the people on call, too
            .env("MEMORY_ADMIN_BIND", "127.0.0.1:0")
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| binary.display().to_string())?;

        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let to_log = sender.clone();
        thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .for_each(|line| drop(to_log.send(line)))
        });
        thread::spawn(move || {
            stderr
                .lines()
                .map_while(Result::ok)
                .for_each(|line| drop(sender.send(line)))
        });

        let mut running = Self {
            child,
            lines,
            log: Vec::new(),
            port,
        };
        let started = Instant::now();
        while running.get("/_ping").is_err() {
            if let Some(status) = running.child.try_wait()? {
                bail!("the service ended with {status}:\n{}", running.log());
            }
            if started.elapsed() > Duration::from_secs(30) {
                bail!("the service does not answer:\n{}", running.log());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(running)
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    /// The answer to a GET.
    ///
    /// # Errors
    ///
    /// When the service does not answer with 2xx.
    pub fn get(&self, path: &str) -> Result<String> {
        Ok(ureq::get(self.url(path))
            .call()?
            .body_mut()
            .read_to_string()?)
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the service has ended, by itself or not.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Sends a signal, such as `TERM`.
    ///
    /// # Errors
    ///
    /// When it cannot be sent.
    #[cfg(unix)]
    pub fn signal(&self, name: &str) -> Result<()> {
        send_signal(&self.child, name)
    }

    /// Waits for the end of the service.
    ///
    /// # Errors
    ///
    /// When it has not ended within `limit`; the error holds its log.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        match ended_within(&mut self.child, limit)? {
            Some(status) => Ok(status),
            None => bail!("the service does not end:\n{}", self.log()),
        }
    }

    /// The URL of the listener for the people on call.
    ///
    /// # Errors
    ///
    /// When the service has none; the error holds its log.
    pub fn listener(&mut self) -> Result<String> {
        let log = self.log();
        let address = log
            .split_once("memory listener address=")
            .and_then(|(_, rest)| rest.split_whitespace().next())
            .with_context(|| format!("no listener:\n{log}"))?;
        Ok(format!("http://{address}"))
    }

    /// What the service has logged, without colours.
    pub fn log(&mut self) -> String {
        thread::sleep(Duration::from_millis(200));
        self.log
            .extend(self.lines.try_iter().map(|line| without_colours(&line)));
        self.log.join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends a signal to a process, such as `TERM`.
///
/// # Errors
///
/// When it cannot be sent.
#[cfg(unix)]
pub fn send_signal(child: &Child, name: &str) -> Result<()> {
    let status = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status()?;
    if !status.success() {
        bail!("kill -s {name} {}: {status}", child.id());
    }
    Ok(())
}

/// How a process has ended, or `None` where it has not within `limit`.
///
/// # Errors
///
/// When the system does not tell.
pub fn ended_within(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let started = Instant::now();
    loop {
        let status = child.try_wait()?;
        if status.is_some() || started.elapsed() > limit {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// A port on which nothing listens.
fn free_port() -> u16 {
    TcpListener::bind("localhost:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

fn without_colours(line: &str) -> String {
    let mut text = String::new();
    let mut escaped = false;
    for character in line.chars() {
        match character {
            '\u{1b}' => escaped = true,
            'm' if escaped => escaped = false,
            _ if escaped => {}
            _ => text.push(character),
        }
    }
    text
}
