//! A database of PostgreSQL of a test's own.

use std::{
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use url::Url;

/// An empty database, for as long as this lives.
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// Creates it on the server of this URL, by `psql`.
    ///
    /// # Panics
    ///
    /// When the server refuses it.
    #[must_use]
    pub fn create(server: String) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("svc_test_{}_{number}", std::process::id());
        let database = Self { server, name };
        database.sql(&format!("CREATE DATABASE {}", database.name));
        database
    }

    /// Its URL.
    ///
    /// # Panics
    ///
    /// When that of the server is none.
    #[must_use]
    pub fn url(&self) -> String {
        let mut url = Url::parse(&self.server).expect("a URL");
        url.set_path(&self.name);
        url.to_string()
    }

    /// What a statement in it gives: the values without their names, a row on each line.
    ///
    /// # Panics
    ///
    /// When the server refuses it.
    #[must_use]
    pub fn query(&self, statement: &str) -> String {
        psql(&self.url(), statement)
    }

    fn sql(&self, statement: &str) {
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
        self.sql(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}
