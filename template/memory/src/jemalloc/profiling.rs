//! Heap profiles: which code holds how much of the live memory.
//!
//! While profiling is on, jemalloc samples an allocation every 2^`lg_prof_sample` bytes on average,
//! and drops the sample when that memory is freed. What was allocated before does not appear in
//! profiles.

use std::{
    ffi::CString,
    fs::{self, File},
    io::{self, Read, Seek},
    path::Path,
    time::SystemTime,
};

use axum::{
    extract::{rejection::QueryRejection, Query, State},
    http::{header, StatusCode},
    routing::{get, post},
    Json, Router,
};
use loco_rs::prelude::*;
use serde::{Deserialize, Serialize};
use tikv_jemalloc_ctl::raw;

use super::{
    actions::{malformed, Exclusive},
    heap_profile::{build_id, HeapProfile},
    pprof,
};
use crate::{
    black_box::{BlackBox, HeapDump},
    guard::{self, Pressure},
    listener::{AdminError, AdminResult},
};

#[derive(Clone)]
struct Profiles {
    exclusive: Exclusive,
    black_box: Option<BlackBox>,
}

/// Which profile is requested: the current one, unless it is that of a record in the black box.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileQuery {
    record: Option<String>,
    /// Show what has grown since this record.
    since: Option<String>,
}

type ProfileRequest = std::result::Result<Query<ProfileQuery>, QueryRejection>;

#[derive(Debug, Serialize)]
struct Profiling {
    active: bool,
}

pub fn routes(black_box: Option<&BlackBox>) -> Router {
    Router::new()
        .route("/debug/pprof/heap", get(pprof))
        // Where Grafana Alloy and Parca look by default.
        .route("/debug/pprof/allocs", get(pprof))
        .route("/debug/pprof/heap/flamegraph", get(flame_graph))
        .route("/debug/pprof/heap/activate", post(activate))
        .route("/debug/pprof/heap/deactivate", post(deactivate))
        .with_state(Profiles {
            // A heap profile may take seconds; a purge must still be possible meanwhile.
            exclusive: Exclusive::default(),
            black_box: black_box.cloned(),
        })
}

/// Whether jemalloc was started with `prof:true`.
fn is_available() -> bool {
    // SAFETY: the name ends with a null byte, and the value is a bool.
    unsafe { raw::read(b"opt.prof\0") }.unwrap_or(false)
}

fn unavailable() -> AdminError {
    AdminError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "service_unavailable",
        "jemalloc runs with prof:false: the memory profile has no prof:true, or MALLOC_CONF or \
         /etc/malloc.conf overrides it",
    )
}

fn is_active() -> bool {
    // SAFETY: as above.
    is_available() && unsafe { raw::read(b"prof.active\0") }.unwrap_or(false)
}

/// Takes a heap profile in jemalloc's format, if profiling is on.
///
/// # Errors
///
/// If it cannot be written.
pub fn dump_heap_profile() -> Result<Option<HeapDump>> {
    if !is_active() {
        return Ok(None);
    }
    Ok(Some(HeapDump {
        file: dump().map_err(|err| Error::string(&format!("cannot take a heap profile: {err}")))?,
        build_id: build_id(None),
    }))
}

/// Makes jemalloc write to memory, not to disk: while it writes, it holds locks that allocating
/// threads need.
#[cfg(target_os = "linux")]
fn dump() -> io::Result<File> {
    use std::os::fd::AsRawFd;

    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::memfd_create("heap-profile", flags)?);
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    write_dump(Path::new(&path))?;
    file.rewind()?;
    Ok(file)
}

#[cfg(not(target_os = "linux"))]
fn dump() -> io::Result<File> {
    use std::{env, process};

    let name = format!("heap-profile-{}-{:?}", process::id(), SystemTime::now());
    let path = env::temp_dir().join(name.replace(|char: char| !char.is_alphanumeric(), "-"));
    File::create_new(&path)?;
    write_dump(&path)?;
    let mut file = File::open(&path)?;
    file.rewind()?;
    fs::remove_file(&path)?;
    Ok(file)
}

fn write_dump(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    // SAFETY: the name ends with a null byte, and the value is a string that lives long enough.
    unsafe { raw::write(b"prof.dump\0", path.as_ptr()) }.map_err(io::Error::other)
}

/// The current heap profile. May block.
fn current() -> AdminResult<HeapProfile> {
    if !is_available() {
        return Err(unavailable());
    }
    let Some(mut dump) = dump_heap_profile()? else {
        return Err(AdminError::new(
            StatusCode::CONFLICT,
            "conflict",
            "Heap profiling is off: POST /debug/pprof/heap/activate, then wait until the memory in \
             question is allocated",
        ));
    };
    let mut text = String::new();
    dump.file.read_to_string(&mut text).map_err(Error::from)?;
    Ok(HeapProfile::parse(&text, true)?)
}

impl Profiles {
    /// The current profile, or that of a record, and when it was taken. May block.
    fn read(&self, record: Option<&str>) -> AdminResult<(HeapProfile, SystemTime)> {
        if guard::pressure() != Pressure::None {
            return Err(AdminError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "service_unavailable",
                "Memory is near the limit, and looking up names takes tens of MiB: POST \
                 /memory/black_box, and read the profile of that record later",
            ));
        }
        match record {
            None => Ok((current()?, SystemTime::now())),
            Some(record) => self.read_record(record),
        }
    }

    fn read_record(&self, record: &str) -> AdminResult<(HeapProfile, SystemTime)> {
        let files = self
            .black_box
            .as_ref()
            .map(|black_box| black_box.files(record));
        let files = files.transpose()?.unwrap_or_default();
        let mut profiles = files.iter().filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "heap")
        });
        let Some(path) = profiles.next() else {
            return Err(AdminError::new(
                StatusCode::NOT_FOUND,
                "not_found",
                format!("No record {record} with a heap profile: GET /memory/black_box lists them"),
            ));
        };
        let file_name = path.file_name().and_then(|name| name.to_str());
        let is_same_build = build_id(None)
            .zip(file_name)
            .is_some_and(|(build, name)| name.ends_with(&format!(".{build}.heap")));
        if !is_same_build {
            return Err(AdminError::new(
                StatusCode::CONFLICT,
                "conflict",
                format!(
                    "{} was not written by this build of the service, or the build has no ID: read \
                     it with jeprof and the binary that wrote it",
                    path.display()
                ),
            ));
        }
        let dump = fs::read_to_string(path).map_err(Error::from)?;
        let taken = fs::metadata(path).and_then(|metadata| metadata.modified());
        Ok((
            HeapProfile::parse(&dump, false)?,
            taken.unwrap_or_else(|_| SystemTime::now()),
        ))
    }
}

fn parameters(query: ProfileRequest) -> AdminResult<ProfileQuery> {
    let Query(query) =
        query.map_err(|rejection| malformed(rejection.status(), rejection.body_text()))?;
    Ok(query)
}

async fn pprof(State(profiles): State<Profiles>, query: ProfileRequest) -> AdminResult<Response> {
    let query = parameters(query)?;
    if query.since.is_some() {
        let reason =
            "`since` is only for the flame graph: `go tool pprof -diff_base` compares profiles";
        return Err(malformed(StatusCode::BAD_REQUEST, reason.to_string()));
    }
    let exclusive = profiles.exclusive.clone();
    let profile = exclusive
        .run(move || {
            let (profile, taken) = profiles.read(query.record.as_deref())?;
            Ok::<_, AdminError>(pprof::encode(&profile, taken)?)
        })
        .await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"heap.pb.gz\"",
        ),
    ];
    Ok((headers, profile).into_response())
}

async fn flame_graph(
    State(profiles): State<Profiles>,
    query: ProfileRequest,
) -> AdminResult<Response> {
    let query = parameters(query)?;
    let exclusive = profiles.exclusive.clone();
    let svg: Vec<u8> = exclusive
        .run(move || {
            let (profile, _) = profiles.read(query.record.as_deref())?;
            let since = query
                .since
                .map(|since| profiles.read_record(&since))
                .transpose()?;
            let since = since.as_ref().map(|(profile, _)| profile);
            profile.flame_graph(since)?.ok_or_else(|| {
                AdminError::new(
                    StatusCode::CONFLICT,
                    "conflict",
                    "No live memory has been sampled since heap profiling was switched on: wait \
                     until the memory in question is allocated",
                )
            })
        })
        .await?;
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response())
}

async fn activate(State(profiles): State<Profiles>) -> AdminResult<Json<Profiling>> {
    switch(profiles.exclusive, true).await
}

/// Discards all samples.
async fn deactivate(State(profiles): State<Profiles>) -> AdminResult<Json<Profiling>> {
    switch(profiles.exclusive, false).await
}

async fn switch(exclusive: Exclusive, active: bool) -> AdminResult<Json<Profiling>> {
    exclusive
        .run(move || {
            if !is_available() {
                return Err(unavailable());
            }
            set_active(active)?;
            tracing::info!(active, "heap profiling");
            Ok(Json(Profiling { active }))
        })
        .await
}

fn set_active(active: bool) -> Result<()> {
    let failed = |err| Error::string(&format!("heap profiling: {err}"));
    // SAFETY: the names end with a null byte; the values are of the types bool and `size_t`.
    unsafe {
        raw::write(b"prof.active\0", active).map_err(failed)?;
        if !active {
            let lg_sample: usize = raw::read(b"prof.lg_sample\0").map_err(failed)?;
            raw::write(b"prof.reset\0", lg_sample).map_err(failed)?;
        }
    }
    Ok(())
}
