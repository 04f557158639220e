//! Heap profiles: which code holds how much of the live memory.
//!
//! While profiling is on, jemalloc samples about one allocation per 512 KiB, and drops the sample
//! when the memory is freed. Earlier allocations do not appear in profiles.

use axum::{
    extract::State,
    http::{header, StatusCode},
    routing::{get, post},
    Json, Router,
};
use jemalloc_pprof::{JemallocProfCtl, PROF_CTL};
use loco_rs::prelude::*;
use serde::Serialize;

use super::actions::Exclusive;
use crate::listener::{AdminError, AdminResult};

/// inferno's error (0.12) for a profile without samples.
const NO_SAMPLES: &str = "No stack counts found";

#[derive(Debug, Serialize)]
struct Profiling {
    active: bool,
}

pub fn routes(exclusive: &Exclusive) -> Router {
    Router::new()
        .route("/debug/pprof/heap", get(pprof))
        .route("/debug/pprof/heap/flamegraph", get(flamegraph))
        .route("/debug/pprof/heap/activate", post(activate))
        .route("/debug/pprof/heap/deactivate", post(deactivate))
        .with_state(exclusive.clone())
}

/// Calls `work` with exclusive access to jemalloc's profiling. May block.
fn with_profiling<T>(work: impl FnOnce(&mut JemallocProfCtl) -> AdminResult<T>) -> AdminResult<T> {
    let Some(profiling) = PROF_CTL.as_ref() else {
        return Err(AdminError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "service_unavailable",
            "jemalloc runs with prof:false: the profile has no prof:true, or MALLOC_CONF or \
             /etc/malloc.conf overrides it",
        ));
    };
    work(&mut profiling.blocking_lock())
}

/// Takes a profile, in the format that `dump` produces.
fn profile<E: std::fmt::Display>(
    dump: impl FnOnce(&mut JemallocProfCtl) -> std::result::Result<Vec<u8>, E>,
) -> AdminResult<Vec<u8>> {
    with_profiling(|profiling| {
        if !profiling.activated() {
            return Err(AdminError::new(
                StatusCode::CONFLICT,
                "conflict",
                "Heap profiling is off: POST /debug/pprof/heap/activate, then wait until the \
                 memory in question is allocated",
            ));
        }
        let profile = dump(profiling);
        // The debug information that was read for names takes as much memory as a small service.
        backtrace::clear_symbol_cache();
        profile.map_err(|err| {
            let err = err.to_string();
            if err.contains(NO_SAMPLES) {
                AdminError::new(
                    StatusCode::CONFLICT,
                    "conflict",
                    "No live memory has been sampled since heap profiling was switched on: wait \
                     until the memory in question is allocated",
                )
            } else {
                Error::string(&format!("no heap profile: {err}")).into()
            }
        })
    })
}

async fn pprof(State(exclusive): State<Exclusive>) -> AdminResult<Response> {
    let profile = exclusive
        .run(|| profile(JemallocProfCtl::dump_pprof))
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

async fn flamegraph(State(exclusive): State<Exclusive>) -> AdminResult<Response> {
    let svg = exclusive
        .run(|| profile(JemallocProfCtl::dump_flamegraph))
        .await?;
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response())
}

async fn activate(State(exclusive): State<Exclusive>) -> AdminResult<Json<Profiling>> {
    switch(exclusive, JemallocProfCtl::activate).await
}

/// Discards all samples.
async fn deactivate(State(exclusive): State<Exclusive>) -> AdminResult<Json<Profiling>> {
    switch(exclusive, JemallocProfCtl::deactivate).await
}

async fn switch<E: std::fmt::Display + 'static>(
    exclusive: Exclusive,
    to: fn(&mut JemallocProfCtl) -> std::result::Result<(), E>,
) -> AdminResult<Json<Profiling>> {
    exclusive
        .run(move || {
            with_profiling(|profiling| {
                to(profiling).map_err(|err| Error::string(&format!("heap profiling: {err}")))?;
                let active = profiling.activated();
                tracing::info!(active, "heap profiling");
                Ok(Json(Profiling { active }))
            })
        })
        .await
}
