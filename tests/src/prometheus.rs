//! A Prometheus for a single test.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{bail, ensure, Context, Result};
use serde_json::{json, Value};
use tempfile::TempDir;

use crate::running::free_port;

/// A Prometheus with alert rules, killed on drop.
pub struct Prometheus {
    server: Child,
    directory: TempDir,
    url: String,
    /// Addresses by namespace.
    targets: Mutex<BTreeMap<String, String>>,
}

impl Prometheus {
    /// Starts a Prometheus that evaluates these alert rules each time it scrapes.
    ///
    /// # Errors
    ///
    /// If it does not start within 10 seconds.
    pub fn start(rules: &str, scrape_interval: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let file = |name: &str| directory.path().join(name);
        fs::write(file("alerts.yaml"), rules)?;
        fs::write(file("targets.json"), "[]")?;
        fs::write(
            file("prometheus.yaml"),
            format!(
                "global: {{ scrape_interval: {scrape_interval}, scrape_timeout: {scrape_interval}, \
                 evaluation_interval: {scrape_interval} }}\n\
                 rule_files: [alerts.yaml]\n\
                 scrape_configs:\n  \
                   - job_name: svc\n    \
                     file_sd_configs: [files: [targets.json]]\n"
            ),
        )?;
        let address = format!("127.0.0.1:{}", free_port());
        let server = Command::new("prometheus")
            .arg(format!(
                "--config.file={}",
                file("prometheus.yaml").display()
            ))
            .arg(format!("--storage.tsdb.path={}", file("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=exemplar-storage")
            .stdout(Stdio::null())
            .stderr(fs::File::create(file("log"))?)
            .spawn()
            .context("prometheus")?;
        let prometheus = Self {
            server,
            directory,
            url: format!("http://{address}"),
            targets: Mutex::default(),
        };
        let started = Instant::now();
        while prometheus.query("vector(1)").is_err() {
            if started.elapsed() > Duration::from_secs(10) {
                let log = fs::read_to_string(prometheus.directory.path().join("log"))?;
                bail!("Prometheus does not respond:\n{log}");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(prometheus)
    }

    /// Scrapes a memory listener from now on, and labels its metrics with a namespace.
    ///
    /// # Errors
    ///
    /// If the list of targets cannot be written.
    pub fn watch(&self, listener: &str, namespace: &str) -> Result<()> {
        let address = listener.trim_start_matches("http://").to_string();
        self.set_targets(|targets| {
            targets.insert(namespace.to_string(), address);
        })
    }

    /// Scrapes what has this namespace no longer.
    ///
    /// # Errors
    ///
    /// If the list of targets cannot be written.
    pub fn forget(&self, namespace: &str) -> Result<()> {
        self.set_targets(|targets| {
            targets.remove(namespace);
        })
    }

    fn set_targets(&self, change: impl FnOnce(&mut BTreeMap<String, String>)) -> Result<()> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut targets);
        let list: Vec<Value> = targets
            .iter()
            .map(|(namespace, address)| {
                json!({ "targets": [address], "labels": { "namespace": namespace } })
            })
            .collect();
        let file = self.directory.path().join("targets.json");
        // Renamed, as Prometheus watches the file and must not read half of it.
        let new = file.with_extension("new");
        fs::write(&new, serde_json::to_string(&list)?)?;
        Ok(fs::rename(new, file)?)
    }

    /// The series that a query returns.
    ///
    /// # Errors
    ///
    /// If Prometheus does not accept the query; the error has its reason.
    pub fn query(&self, query: &str) -> Result<Vec<Value>> {
        let response = self.get("query", &[("query", query)])?;
        let series = response["data"]["result"].as_array();
        Ok(series.cloned().unwrap_or_default())
    }

    /// The traces in the exemplars of a series of the last hour.
    ///
    /// # Errors
    ///
    /// If Prometheus does not accept the query; the error has its reason.
    pub fn exemplars(&self, series: &str) -> Result<Vec<String>> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let response = self.get(
            "query_exemplars",
            &[
                ("query", series),
                ("start", &(now.as_secs() - 3600).to_string()),
                ("end", &(now.as_secs() + 60).to_string()),
            ],
        )?;
        let series = response["data"].as_array().into_iter().flatten();
        let exemplars = series.flat_map(|series| series["exemplars"].as_array());
        let traces = exemplars
            .flatten()
            .filter_map(|exemplar| exemplar["labels"]["trace_id"].as_str());
        Ok(traces.map(String::from).collect())
    }

    fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let mut response = ureq::get(format!("{}/api/v1/{path}", self.url))
            .config()
            .http_status_as_error(false)
            .build()
            .query_pairs(parameters.iter().copied())
            .call()?;
        let response: Value = response.body_mut().read_json()?;
        ensure!(
            response["status"] == "success",
            "{parameters:?}: {response}"
        );
        Ok(response)
    }

    /// The alerts that have fired for a namespace since the start.
    ///
    /// # Errors
    ///
    /// If Prometheus does not respond.
    pub fn fired(&self, namespace: &str) -> Result<BTreeSet<String>> {
        let series = self.query(&format!(
            "count by (alertname) (count_over_time(ALERTS{{alertstate=\"firing\",namespace=\"{namespace}\"}}[1d]))"
        ))?;
        let name = |series: &Value| series["metric"]["alertname"].as_str().map(String::from);
        Ok(series.iter().filter_map(name).collect())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}
