//! The black box: a few records of what the service did with its memory, written when memory runs short,
//! to files that outlive the process. `docs/memory.md` describes it.

use std::{
    fmt::Write,
    fs::{self, File},
    io::{self, Write as _},
    panic::{catch_unwind, AssertUnwindSafe},
    path::{Path, PathBuf},
    process,
    sync::mpsc::{sync_channel, Receiver, SyncSender},
    thread,
    time::{Duration, Instant, SystemTime},
};

use axum::{
    extract::{Path as UrlPath, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
    Json, Router,
};
use chrono::Utc;
use loco_rs::prelude::*;
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::{
    allocator,
    listener::{AdminError, AdminResult},
    settings::Memory,
    task,
};

/// Limits on the number of records and on their total size; beyond them, the oldest are deleted,
/// those of a shortage last.
const MAX_RECORDS: usize = 16;
const MAX_BYTES: u64 = 64 << 20;
/// The minimum time between two records for the same reason, even if the process is restarted.
const INTERVAL: Duration = Duration::from_hours(1);
/// The minimum time after one that could not be written.
const RETRY_INTERVAL: Duration = Duration::from_mins(1);
/// How records are named, so that their order is that of their names: `2026-01-31T03-04-05-678Z-guard`.
const TIME_FORMAT: &str = "%Y-%m-%dT%H-%M-%S-%3fZ";
const TIME_LENGTH: usize = "2026-01-31T03-04-05-678Z".len();

/// Why a record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// The guard acts.
    Guard,
    /// The guard closes connections.
    Shed,
    /// Tasks spend much of their time waiting for memory.
    Stall,
    /// Live memory has doubled.
    Growth,
    /// Somebody has asked for it.
    Request,
}

impl Reason {
    const ALL: [Self; 5] = [
        Self::Guard,
        Self::Shed,
        Self::Stall,
        Self::Growth,
        Self::Request,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Guard => "guard",
            Self::Shed => "shed",
            Self::Stall => "stall",
            Self::Growth => "growth",
            Self::Request => "request",
        }
    }

    /// Whether memory was short. Such records are kept longer than others.
    const fn is_shortage(self) -> bool {
        matches!(self, Self::Guard | Self::Shed | Self::Stall)
    }
}

/// A heap profile in jemalloc's format.
#[cfg_attr(not(feature = "heap-profiling"), allow(dead_code))]
pub struct HeapDump {
    pub file: File,
    /// Only the same build of the service can look up the names.
    pub build_id: Option<String>,
}

/// Where the records are. Several processes may share a directory.
#[derive(Debug, Clone)]
pub struct BlackBox {
    directory: PathBuf,
}

/// A record: a report, and a heap profile if profiling was on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// When and why it was written.
    pub name: String,
    pub reason: Reason,
    /// Whether there is a report: not if the process was killed meanwhile.
    pub report: bool,
    pub heap_profile: bool,
    pub bytes: u64,
    #[serde(skip)]
    pub written: SystemTime,
    #[serde(skip)]
    files: Vec<PathBuf>,
}

impl Record {
    /// Its files, without one that the process has left incomplete.
    fn complete_files(self) -> impl Iterator<Item = PathBuf> {
        let files = self.files.into_iter();
        files.filter(|path| path.extension() != Some(INCOMPLETE.as_ref()))
    }
}

impl BlackBox {
    pub fn new(settings: &Memory) -> Option<Self> {
        let directory = PathBuf::from(&settings.black_box);
        (!settings.black_box.is_empty()).then_some(Self { directory })
    }

    /// The records, the oldest first, without those of which nothing is complete.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read.
    pub fn records(&self) -> Result<Vec<Record>> {
        let mut records = self.all_records()?;
        records.retain(|record| record.report || record.heap_profile);
        Ok(records)
    }

    fn all_records(&self) -> Result<Vec<Record>> {
        let mut records: Vec<Record> = Vec::new();
        for path in self.all_files()? {
            let Some((name, reason, kind)) = parse(&path) else {
                continue;
            };
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            if !metadata.is_file() {
                continue;
            }
            if records.last().is_none_or(|record| record.name != name) {
                records.push(Record {
                    name: name.to_string(),
                    reason,
                    report: false,
                    heap_profile: false,
                    bytes: 0,
                    written: metadata.modified().unwrap_or_else(|_| SystemTime::now()),
                    files: Vec::new(),
                });
            }
            if let Some(record) = records.last_mut() {
                record.report |= kind == Kind::Report;
                record.heap_profile |= kind == Kind::HeapProfile;
                record.bytes += metadata.len();
                record.files.push(path);
            }
        }
        Ok(records)
    }

    /// The files of all records, one per line, for people.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read.
    pub fn list(&self) -> Result<String> {
        let mut list = String::new();
        for file in self.records()?.into_iter().flat_map(Record::complete_files) {
            writeln!(list, "black box   {}", file.display()).map_err(Error::wrap)?;
        }
        Ok(list)
    }

    /// The complete files of a record. Empty if there is no such record.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read.
    pub fn files(&self, record: &str) -> Result<Vec<PathBuf>> {
        let mut records = self.records()?.into_iter();
        let record = records.find(|known| known.name == record);
        Ok(record
            .into_iter()
            .flat_map(Record::complete_files)
            .collect())
    }

    /// All files, sorted by name.
    fn all_files(&self) -> Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(err) => return Err(self.failed(err)),
        };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        files.sort();
        Ok(files)
    }

    /// Writes a record and returns its name. May block.
    ///
    /// # Errors
    ///
    /// If the directory cannot be written to.
    pub fn write(&self, reason: Reason) -> Result<String> {
        fs::create_dir_all(&self.directory).map_err(|err| self.failed(err))?;
        self.make_room(MAX_RECORDS - 1, "")?;
        let (name, incomplete) = self.reserve(reason).map_err(|err| self.failed(err))?;
        let written = self.write_files(&name, reason, incomplete);
        if written.is_err() {
            drop(fs::remove_file(self.path(&name, INCOMPLETE)));
        }
        self.make_room(MAX_RECORDS, &name)?;
        written.map(|()| name)
    }

    /// Creates a file whose name no other process has taken.
    fn reserve(&self, reason: Reason) -> io::Result<(String, File)> {
        loop {
            let name = format!("{}-{}", Utc::now().format(TIME_FORMAT), reason.name());
            match File::create_new(self.path(&name, INCOMPLETE)) {
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
                    thread::sleep(Duration::from_millis(1));
                }
                created => return created.map(|file| (name, file)),
            }
        }
    }

    /// Writes the report and the heap profile. Each has its name only once it is complete, since the process
    /// may be killed at any moment.
    fn write_files(&self, name: &str, reason: Reason, mut incomplete: File) -> Result<()> {
        let dumped = allocator::dump_heap_profile();
        let report = task::service_report().unwrap_or_else(|err| format!("no report: {err}\n"));
        write!(
            incomplete,
            "reason      {}\nhost        {}\nprocess     {}\n\n{report}",
            reason.name(),
            host(),
            process::id(),
        )
        .map_err(|err| self.failed(err))?;
        self.complete(name, "txt")?;
        if let Some(mut dump) = dumped? {
            let path = self.path(name, INCOMPLETE);
            File::create_new(path)
                .and_then(|mut file| io::copy(&mut dump.file, &mut file))
                .map_err(|err| self.failed(err))?;
            let build_id = dump.build_id.as_deref().unwrap_or("unknown");
            self.complete(name, &format!("{build_id}.heap"))?;
        }
        Ok(())
    }

    fn complete(&self, name: &str, kind: &str) -> Result<()> {
        fs::rename(self.path(name, INCOMPLETE), self.path(name, kind))
            .map_err(|err| self.failed(err))
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.directory.join(format!("{name}.{kind}"))
    }

    /// Deletes all but `keep` until at most `records` are left, and these are not too large: first those that
    /// were not written for a shortage, and of these the oldest.
    fn make_room(&self, records: usize, keep: &str) -> Result<()> {
        let mut kept = self.all_records()?;
        kept.sort_by_key(|record| {
            // A record dated in the future was written before the clock was set back: treat it as
            // the oldest.
            let is_past = record.written.elapsed().is_ok();
            let written = is_past.then_some(record.written);
            (record.reason.is_shortage(), written)
        });
        let mut count = kept.len();
        let mut bytes: u64 = kept.iter().map(|record| record.bytes).sum();
        for record in kept {
            if count <= records && bytes <= MAX_BYTES {
                break;
            }
            if record.name == keep {
                continue;
            }
            for path in record.files {
                fs::remove_file(&path).map_err(|err| self.failed(err))?;
            }
            count -= 1;
            bytes -= record.bytes;
        }
        Ok(())
    }

    fn failed(&self, err: impl std::fmt::Display) -> Error {
        Error::string(&format!(
            "settings.memory.black_box, {}: {err}",
            self.directory.display()
        ))
    }

    /// Logs if memory was short earlier, or if nothing can be written.
    fn log(&self) {
        let usable = fs::create_dir_all(&self.directory)
            .map_err(|err| self.failed(err))
            .and_then(|()| self.records());
        match usable {
            Ok(records) => {
                let mut shortages = records.iter().filter(|record| record.reason.is_shortage());
                if let Some(newest) = shortages.next_back() {
                    tracing::warn!(
                        newest = newest.name,
                        directory = %self.directory.display(),
                        "memory was short earlier: the black box has records (delete those that you \
                         have dealt with)"
                    );
                }
            }
            Err(err) => tracing::warn!(%err, "memory black box unavailable"),
        }
    }

    /// When the newest record for a reason was written, if that is not in the future.
    fn age(&self, reason: Reason) -> Option<Duration> {
        let records = self.records().ok()?.into_iter();
        let written = records
            .filter(|record| record.reason == reason)
            .map(|record| record.written);
        written.max()?.elapsed().ok()
    }
}

/// What a file of a record contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Report,
    HeapProfile,
    Incomplete,
}

/// The extension of a file that is not complete.
const INCOMPLETE: &str = "incomplete";

/// Splits a file's name into its record's name, the reason, and what the file contains. `None` if it does not
/// belong to a record.
fn parse(path: &Path) -> Option<(&str, Reason, Kind)> {
    let (name, _) = path.file_name()?.to_str()?.split_once('.')?;
    let (time, reason) = name.split_at_checked(TIME_LENGTH)?;
    chrono::NaiveDateTime::parse_from_str(time, TIME_FORMAT).ok()?;
    let reason = reason.strip_prefix('-')?;
    let mut reasons = Reason::ALL.into_iter();
    let reason = reasons.find(|known| known.name() == reason)?;
    let kind = match path.extension()?.to_str()? {
        "txt" => Kind::Report,
        "heap" => Kind::HeapProfile,
        INCOMPLETE => Kind::Incomplete,
        _ => return None,
    };
    Some((name, reason, kind))
}

#[cfg(target_os = "linux")]
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_string()
}

#[cfg(not(target_os = "linux"))]
const fn host() -> &'static str {
    "unknown"
}

/// Writes records on a separate thread, so that nobody else waits for the disk.
pub struct Recorder(SyncSender<Reason>);

impl Recorder {
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub fn start(black_box: BlackBox) -> io::Result<Self> {
        let (sender, reasons) = sync_channel(64);
        thread::Builder::new()
            .name("black-box".to_string())
            .spawn(move || record(&black_box, &reasons))?;
        Ok(Self(sender))
    }

    /// Requests a record, unless there is a recent one for the same reason.
    pub fn request(&self, reason: Reason) {
        // If the thread has many to write, this one can wait for the next time.
        let _ = self.0.try_send(reason);
    }
}

fn record(black_box: &BlackBox, reasons: &Receiver<Reason>) {
    allocator::bind_thread();
    black_box.log();
    let mut next = Reason::ALL.map(|reason| {
        let age = black_box.age(reason);
        let wait = age.map_or(Duration::ZERO, |age| INTERVAL.saturating_sub(age));
        Instant::now() + wait
    });
    for reason in reasons {
        let started = Instant::now();
        if started < next[reason as usize] {
            continue;
        }
        // A panic should not be the end of the black box.
        let written = catch_unwind(AssertUnwindSafe(|| black_box.write(reason)))
            .unwrap_or_else(|_| Err(Error::string("a panic")));
        let wait = match written {
            Ok(name) => {
                tracing::warn!(
                    record = name,
                    directory = %black_box.directory.display(),
                    took_ms = started.elapsed().as_millis(),
                    "memory black box written"
                );
                INTERVAL
            }
            Err(err) => {
                tracing::error!(%err, "cannot write to the memory black box");
                RETRY_INTERVAL
            }
        };
        next[reason as usize] = started + wait;
    }
}

pub fn routes(black_box: BlackBox) -> Router {
    Router::new()
        .route("/memory/black_box", get(list).post(write_now))
        .route("/memory/black_box/{record}", get(report))
        .with_state(black_box)
}

async fn list(State(black_box): State<BlackBox>) -> AdminResult<Json<Vec<Record>>> {
    let records = spawn_blocking(move || black_box.records()).await;
    Ok(Json(records.map_err(Error::msg)??))
}

async fn write_now(State(black_box): State<BlackBox>) -> AdminResult<Response> {
    let written = spawn_blocking(move || {
        let name = black_box.write(Reason::Request)?;
        let mut records = black_box.records()?.into_iter();
        Ok::<_, Error>(records.find(|record| record.name == name))
    });
    let record = written.await.map_err(Error::msg)??;
    Ok((StatusCode::CREATED, Json(record)).into_response())
}

async fn report(
    State(black_box): State<BlackBox>,
    UrlPath(record): UrlPath<String>,
) -> AdminResult<String> {
    let read = spawn_blocking(move || {
        let mut files = black_box.files(&record)?.into_iter();
        let report =
            files.find(|file| file.extension().is_some_and(|extension| extension == "txt"));
        Ok::<_, Error>(report.map(fs::read_to_string).transpose()?)
    });
    read.await.map_err(Error::msg)??.ok_or_else(|| {
        AdminError::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "There is no such record, or it has no report: GET /memory/black_box lists them",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    /// An empty black box, in a directory named after the test.
    fn black_box(name: &str) -> BlackBox {
        let directory = env::temp_dir().join(format!("{name}-{}", process::id()));
        drop(fs::remove_dir_all(&directory));
        BlackBox { directory }
    }

    fn reasons(black_box: &BlackBox) -> Vec<Reason> {
        let records = black_box.records().expect("records").into_iter();
        records.map(|record| record.reason).collect()
    }

    /// Waits until there are `records` records.
    fn wait_for(black_box: &BlackBox, records: usize) {
        let started = Instant::now();
        while reasons(black_box).len() < records && started.elapsed() < Duration::from_secs(30) {
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Writes a file that is `age` seconds old.
    fn write_old(path: &Path, age: u64) -> File {
        let file = File::create(path).expect("a file");
        let then = SystemTime::now() - Duration::from_secs(age);
        file.set_modified(then).expect("a time");
        file
    }

    #[test]
    fn a_record_has_the_report_and_where_it_was_written() {
        let black_box = black_box("black-box-report");

        let name = black_box.write(Reason::Growth).expect("a record");

        let files = black_box.files(&name).expect("files");
        let report = files
            .iter()
            .find(|file| file.ends_with(format!("{name}.txt")));
        let report = fs::read_to_string(report.expect("a report")).expect("text");
        assert!(report.starts_with("reason      growth\nhost "), "{report}");
        assert!(report.contains("\nrss "), "{report}");
        assert!(black_box.list().expect("a list").contains(&name));
        let other = black_box.files("../black-box-report").expect("files");
        assert!(other.is_empty(), "{other:?}");
    }

    #[test]
    fn the_oldest_records_make_room() {
        let black_box = black_box("black-box-ring");
        fs::create_dir_all(&black_box.directory).expect("a directory");
        let file = |name: &str| black_box.directory.join(name);
        for number in 0..MAX_RECORDS as u64 {
            let name = format!("2026-01-31T03-04-{}-678Z-guard.txt", 10 + number);
            write_old(&file(&name), 1000 - number);
        }
        // Later, but for no shortage.
        write_old(&file("2026-01-31T03-05-00-678Z-growth.txt"), 900);
        // Others' files.
        for name in ["001-guard.txt", "2026-01-31T03-04-05-678Z-guard.html"] {
            write_old(&file(name), 2000);
        }

        black_box.write(Reason::Shed).expect("a record");

        let records = black_box.records().expect("records");
        assert_eq!(records.len(), MAX_RECORDS);
        assert_eq!(records[0].name, "2026-01-31T03-04-11-678Z-guard");
        assert_eq!(records[MAX_RECORDS - 1].reason, Reason::Shed);
        assert!(reasons(&black_box)
            .iter()
            .all(|reason| *reason != Reason::Growth));

        let large = write_old(&file("2026-01-31T03-04-12-678Z-guard.0.heap"), 998);
        large.set_len(MAX_BYTES).expect("a file with a hole");
        let newest = black_box.write(Reason::Stall).expect("a record");

        let records = black_box.records().expect("records");
        let bytes: u64 = records.iter().map(|record| record.bytes).sum();
        assert!(bytes < MAX_BYTES, "{records:?}");
        assert!(records.iter().any(|record| record.name == newest));
        assert!(file("001-guard.txt").exists());
        assert!(file("2026-01-31T03-04-05-678Z-guard.html").exists());
    }

    #[test]
    fn a_record_from_the_future_does_not_displace_the_newest() {
        let black_box = black_box("black-box-future");
        fs::create_dir_all(&black_box.directory).expect("a directory");
        for number in 0..MAX_RECORDS {
            let name = format!("2099-01-31T03-04-{}-678Z-guard.txt", 10 + number);
            let file = write_old(&black_box.directory.join(name), 0);
            let later = SystemTime::now() + Duration::from_hours(24);
            file.set_modified(later).expect("a time");
        }

        let newest = black_box.write(Reason::Guard).expect("a record");

        let records = black_box.records().expect("records");
        assert_eq!(records.len(), MAX_RECORDS);
        assert!(records.iter().any(|record| record.name == newest));
    }

    #[test]
    fn a_directory_that_cannot_be_written_to_is_named() {
        let black_box = black_box("black-box-refused");
        fs::write(&black_box.directory, "a file in its place").expect("a file");

        let err = black_box.write(Reason::Guard).expect_err("no directory");

        assert!(
            err.to_string().contains("settings.memory.black_box"),
            "{err}"
        );
        fs::remove_file(&black_box.directory).expect("the file");
        assert!(black_box.records().expect("none").is_empty());
    }

    #[test]
    fn what_a_killed_process_left_incomplete_is_no_record() {
        let black_box = black_box("black-box-incomplete");
        fs::create_dir_all(&black_box.directory).expect("a directory");
        let name = "2026-01-31T03-04-05-678Z-guard.incomplete";
        write_old(&black_box.directory.join(name), 10);

        assert!(black_box.records().expect("none").is_empty());
        black_box.write(Reason::Shed).expect("a record");
        assert_eq!(reasons(&black_box), [Reason::Shed]);
    }

    #[test]
    fn a_reason_that_persists_is_recorded_once_even_by_the_next_process() {
        let black_box = black_box("black-box-persists");
        for (last, records) in [(Reason::Request, 3), (Reason::Stall, 4)] {
            let recorder = Recorder::start(black_box.clone()).expect("a thread");
            for reason in [Reason::Guard, Reason::Guard, Reason::Shed, Reason::Guard] {
                recorder.request(reason);
            }
            recorder.request(last);
            wait_for(&black_box, records);
        }
        assert_eq!(
            reasons(&black_box),
            [Reason::Guard, Reason::Shed, Reason::Request, Reason::Stall]
        );
    }
}
