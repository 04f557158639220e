//! A Redis server for a single test.

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{bail, Result};

/// A Redis server, killed on drop.
pub struct Redis {
    server: Child,
    url: String,
}

impl Redis {
    /// Starts an empty `redis-server` on a free port.
    ///
    /// # Errors
    ///
    /// If it does not start within 10 seconds.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        drop(listener);
        let server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", ""])
            .stdout(Stdio::null())
            .spawn()?;
        let redis = Self {
            server,
            url: format!("redis://127.0.0.1:{port}"),
        };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if started.elapsed() > Duration::from_secs(10) {
                bail!("redis-server does not listen");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(redis)
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}
