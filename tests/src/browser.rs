use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use fantoccini::{
    elements::Element, wd::WebDriverCompatibleCommand, Client, ClientBuilder, Locator,
};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{json, Value};
use tempfile::TempDir;
use tokio::runtime::{self, Runtime};
use url::Url;

use crate::{needs::check_available, repository};

/// How long to wait until a page shows what is expected.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A screen, with its size in CSS pixels.
#[derive(Debug, Clone, Copy)]
struct Screen {
    name: &'static str,
    width: u32,
    height: u32,
}

const SCREENS: [Screen; 2] = [
    Screen {
        name: "phone",
        width: 390,
        height: 844,
    },
    Screen {
        name: "desktop",
        width: 1280,
        height: 800,
    },
];

/// Emulates the screen: a window cannot be made as narrow as a phone.
impl WebDriverCompatibleCommand for Screen {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _url: &Url) -> (Method, Option<String>) {
        let command = json!({
            "cmd": "Emulation.setDeviceMetricsOverride",
            "params": {
                "width": self.width,
                "height": self.height,
                "deviceScaleFactor": 1,
                "mobile": self.name == "phone",
            },
        });
        (Method::POST, Some(command.to_string()))
    }
}

/// Delays each response by this many milliseconds.
#[derive(Debug, Clone, Copy)]
struct Latency(u64);

impl WebDriverCompatibleCommand for Latency {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/chromium/network_conditions"))
    }

    fn method_and_body(&self, _url: &Url) -> (Method, Option<String>) {
        let conditions = json!({
            "network_conditions": { "offline": false, "latency": self.0, "throughput": 1 << 20 },
        });
        (Method::POST, Some(conditions.to_string()))
    }
}

/// Headless Chromium, closed on drop.
///
/// Fields, buttons and links are found by their visible text, so a field without a label cannot be
/// filled in.
pub struct Browser {
    client: Client,
    runtime: Runtime,
    _driver: Driver,
}

impl Browser {
    /// Starts a browser in English with an empty profile.
    ///
    /// Prints a notice and returns `None` if there is no `chromedriver`.
    ///
    /// # Panics
    ///
    /// If the browser does not start, or if there is no `chromedriver` in CI (where `CI` is set).
    #[must_use]
    pub fn start() -> Option<Self> {
        let program = chromedriver();
        check_available(program.is_some(), "chromedriver");
        Some(Self::start_with(&program?).expect("a browser"))
    }

    fn start_with(program: &Path) -> Result<Self> {
        let driver = Driver::start(program)?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let capabilities = json!({
            "goog:chromeOptions": {
                "args": [
                    "--headless",
                    "--no-sandbox", // the sandbox does not work as root
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    "--disable-quic",
                    "--no-first-run",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    "--accept-lang=en-US",
                    // A name that was made to resolve to this machine
                    "--host-resolver-rules=MAP rebound.test 127.0.0.1",
                    format!("--user-data-dir={}", driver.profile.path().display()),
                ],
            },
        });
        let client = runtime.block_on(
            ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities.as_object().context("an object")?.clone())
                .connect(&driver.url),
        )?;
        Ok(Self {
            client,
            runtime,
            _driver: driver,
        })
    }

    /// Opens a URL.
    ///
    /// # Panics
    ///
    /// If the browser fails, like all other methods.
    pub fn open(&self, url: &str) {
        self.block_on(self.client.goto(url));
    }

    /// The path of the current page.
    #[must_use]
    pub fn path(&self) -> String {
        self.block_on(self.client.current_url()).path().to_string()
    }

    /// Types into the field with this label, replacing its content.
    pub fn fill(&self, label: &str, text: &str) {
        let field = self.find(&format!(
            "//*[@id = //label[normalize-space() = '{label}']/@for]"
        ));
        self.block_on(field.clear());
        self.block_on(field.send_keys(text));
    }

    /// Presses a button.
    pub fn press(&self, label: &str) {
        self.block_on(self.button(label).click());
    }

    /// Presses a button twice, before the first response can arrive. Responses stay slow from then
    /// on.
    pub fn press_twice(&self, label: &str) {
        self.block_on(self.client.issue_cmd(Latency(300)));
        let button = serde_json::to_value(self.button(label)).expect("an element");
        self.block_on(self.client.execute(
            "arguments[0].click(); setTimeout(() => arguments[0].click(), 100)",
            vec![button],
        ));
    }

    /// Follows a link.
    pub fn follow(&self, label: &str) {
        let link = self.find(&format!("//a[normalize-space() = '{label}']"));
        self.block_on(link.click());
    }

    /// Waits until the page shows a text.
    ///
    /// # Panics
    ///
    /// If it does not; the message has the text that it shows instead.
    pub fn see(&self, text: &str) {
        let started = Instant::now();
        while !self.text().contains(text) {
            assert!(
                started.elapsed() < TIMEOUT,
                "{} does not show {text:?}:\n{}",
                self.path(),
                self.text()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The text that a person sees on the page.
    #[must_use]
    pub fn text(&self) -> String {
        // There is no body between two pages.
        self.runtime
            .block_on(
                self.client
                    .execute("return document.body.innerText", vec![]),
            )
            .ok()
            .and_then(|text| Some(text.as_str()?.to_string()))
            .unwrap_or_default()
    }

    /// The cookies that a script on the page can read, as `name=value; …`.
    #[must_use]
    pub fn cookies_visible_to_scripts(&self) -> String {
        self.run("return document.cookie")
            .as_str()
            .expect("text")
            .to_string()
    }

    /// Takes a screenshot of the whole page on each screen, in `tests/target/screenshots`.
    ///
    /// # Panics
    ///
    /// If the page is wider than a screen.
    pub fn screenshot(&self, name: &str) {
        let directory = repository().join("tests/target/screenshots");
        fs::create_dir_all(&directory).expect("a directory");
        for screen in SCREENS {
            self.block_on(self.client.issue_cmd(screen));
            let width = self.size("scrollWidth");
            assert!(
                width <= screen.width,
                "{name} is {width} wide on {screen:?}"
            );
            let height = self.size("scrollHeight").max(screen.height);
            self.block_on(self.client.issue_cmd(Screen { height, ..screen }));
            let image = self.block_on(self.client.screenshot());
            fs::write(directory.join(format!("{name}-{}.png", screen.name)), image)
                .expect("a screenshot");
        }
    }

    fn button(&self, label: &str) -> Element {
        self.find(&format!("//button[normalize-space() = '{label}']"))
    }

    fn find(&self, xpath: &str) -> Element {
        let wait = self.client.wait().at_most(TIMEOUT);
        match self
            .runtime
            .block_on(wait.for_element(Locator::XPath(xpath)))
        {
            Ok(element) => element,
            Err(err) => panic!("{} has no {xpath} ({err}):\n{}", self.path(), self.text()),
        }
    }

    /// The size of the page in CSS pixels, which may exceed that of the screen.
    fn size(&self, property: &str) -> u32 {
        let size = self.run(&format!("return document.documentElement.{property}"));
        size.as_u64()
            .and_then(|size| size.try_into().ok())
            .expect("a size")
    }

    fn run(&self, script: &str) -> Value {
        self.block_on(self.client.execute(script, vec![]))
    }

    fn block_on<T>(
        &self,
        step: impl std::future::Future<Output = Result<T, fantoccini::error::CmdError>>,
    ) -> T {
        self.runtime
            .block_on(step)
            .expect("the browser command succeeds")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.runtime.block_on(self.client.clone().close()));
    }
}

/// `chromedriver`, on a port that it chooses.
struct Driver {
    process: Child,
    url: String,
    profile: TempDir,
}

impl Driver {
    fn start(program: &Path) -> Result<Self> {
        let mut process = Command::new(program)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| program.display().to_string())?;
        let mut lines = BufReader::new(process.stdout.take().context("piped")?).lines();
        let port = lines
            .by_ref()
            .map_while(std::result::Result::ok)
            .find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse::<u16>().ok()
            })
            .context("chromedriver prints no port")?;
        thread::spawn(move || lines.for_each(drop)); // a full pipe would block it
        Ok(Self {
            process,
            url: format!("http://localhost:{port}"),
            profile: tempfile::tempdir()?,
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// `chromedriver`, from PATH or from where GitHub's runners have it.
fn chromedriver() -> Option<PathBuf> {
    let name = format!("chromedriver{}", env::consts::EXE_SUFFIX);
    let mut directories: Vec<PathBuf> =
        env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    directories.extend(env::var_os("CHROMEWEBDRIVER").map(PathBuf::from));
    directories
        .into_iter()
        .map(|directory| directory.join(&name))
        .find(|program| program.is_file())
}
