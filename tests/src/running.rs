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

/// A running service, killed on drop.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    log: Vec<String>,
    port: u16,
}

impl Running {
    /// Starts the service's binary in `directory` and waits until it responds.
    ///
    /// # Errors
    ///
    /// If it exits, or does not respond within half a minute; the error has its log.
    pub fn start(binary: &Path, directory: &Path, env: &[(&str, &str)]) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["start", "--no-banner"]);
        Self::start_with(command, binary, directory, env)
    }

    /// As [`Self::start`], in the cgroup with this `cgroup.procs` file.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_in_cgroup(
        procs_file: &Path,
        binary: &Path,
        directory: &Path,
        env: &[(&str, &str)],
    ) -> Result<Self> {
        let mut command = Command::new("sh");
        let script = "echo $$ > \"$0\" && exec \"$1\" start --no-banner";
        command.args(["-c", script]).arg(procs_file).arg(binary);
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
            // A free port for the memory listener, too
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
                bail!("the service exited with {status}:\n{}", running.log());
            }
            if started.elapsed() > Duration::from_secs(60) {
                bail!("the service does not respond:\n{}", running.log());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(running)
    }

    /// The process ID.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    /// The body of the response to a GET.
    ///
    /// # Errors
    ///
    /// If the response is not 2xx.
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

    /// Whether the service has exited.
    pub fn has_exited(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Sends a signal, such as `TERM`.
    ///
    /// # Errors
    ///
    /// If it cannot be sent.
    #[cfg(unix)]
    pub fn signal(&self, name: &str) -> Result<()> {
        send_signal(&self.child, name)
    }

    /// Waits for the service to exit.
    ///
    /// # Errors
    ///
    /// If it has not exited within `timeout`; the error has its log.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        match wait_timeout(&mut self.child, timeout)? {
            Some(status) => Ok(status),
            None => bail!("the service does not exit:\n{}", self.log()),
        }
    }

    /// The URL of the memory listener.
    ///
    /// # Errors
    ///
    /// If the service has none; the error has its log.
    pub fn memory_listener(&mut self) -> Result<String> {
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
/// If it cannot be sent.
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

/// Waits for a process to exit. Returns `None` if it has not within `timeout`.
///
/// # Errors
///
/// If the status cannot be read.
pub fn wait_timeout(child: &mut Child, timeout: Duration) -> Result<Option<ExitStatus>> {
    let started = Instant::now();
    loop {
        let status = child.try_wait()?;
        if status.is_some() || started.elapsed() > timeout {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// A port that nothing listens on.
pub(crate) fn free_port() -> u16 {
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
