//! A PostgreSQL database for a single test.

use std::{
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use url::Url;

/// A database that is created empty, and dropped with this.
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// Creates it with `psql`, on the server with this URL.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    #[must_use]
    pub fn create(server: String) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("svc_test_{}_{number}", std::process::id());
        let database = Self { server, name };
        database.execute_on_server(&format!("CREATE DATABASE {}", database.name));
        database
    }

    /// Its URL.
    ///
    /// # Panics
    ///
    /// If the server's URL is invalid.
    #[must_use]
    pub fn url(&self) -> String {
        let mut url = Url::parse(&self.server).expect("a URL");
        url.set_path(&self.name);
        url.to_string()
    }

    /// The result of a statement: values without column names, one row per line.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    #[must_use]
    pub fn query(&self, statement: &str) -> String {
        psql(&self.url(), statement)
    }

    fn execute_on_server(&self, statement: &str) {
        psql(&self.server, statement);
    }
}

fn psql(database: &str, statement: &str) -> String {
    let output = Command::new("psql")
        .args([
            database,
            "--no-align",
            "--tuples-only",
            "--command",
            statement,
        ])
        .output()
        .expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{statement}: {error}");
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

impl Drop for Database {
    fn drop(&mut self) {
        self.execute_on_server(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}
