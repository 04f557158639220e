//! The benchmark behind README.md and BENCHMARKS.md: memory before, under and after load, speed, and
//! CPU time, for each memory profile and for Loco services without this template.
//!
//! `cargo run --manifest-path tests/Cargo.toml --bin membench` writes
//! `tests/membench.json`, `.github/memory.svg` and `.github/memory-dark.svg`, and prints the tables.

mod load;
mod measure;
mod open;
mod process;
mod service;

use std::{
    fs,
    path::{Path, PathBuf},
    thread::JoinHandle,
};

use anyhow::{anyhow, Context, Result};
use clap::Parser;
use template_tests::{
    benchmark::{plot, rotated, After, Cpu, FixedRate, Load, Memory, Results, Spread, HELD},
    collector::{Collector, Manner},
    machine, repository,
};

use crate::{
    load::{LoadKind, Route, Wrk},
    measure::{Round, AFTER},
    service::{BuildOptions, Service},
};

#[derive(Parser)]
struct Options {
    /// A lighter and shorter load, with one build for all jemalloc profiles, for a machine with few
    /// cores (the default below 8)
    #[arg(long)]
    short: bool,
    /// The load of Loco's report: -t12 -c1600 -d30s (the default with 8 cores or more)
    #[arg(long, conflicts_with = "short")]
    full: bool,
    /// How many times to measure everything
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Measure only these rows
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Reuse the services built by an earlier run
    #[arg(long)]
    built: bool,
    /// Measure only what traces cost, and keep the other results of an earlier run
    #[arg(long, conflicts_with_all = ["only", "draw"])]
    traces: bool,
    /// Only draw and print the results of an earlier run
    #[arg(long)]
    draw: bool,
    /// Where to store the results
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Options {
    fn is_short(&self) -> bool {
        self.short || !self.full && machine::cores() < 8
    }

    fn build<'a>(&'a self, work: &'a Path) -> BuildOptions<'a> {
        BuildOptions {
            work,
            only: &self.only,
            built: self.built,
            single_build: self.is_short(),
        }
    }
}

/// The routes of `fixtures/load.rs`, under their names in the tables.
const ROUTES: [Route; 6] = [
    Route {
        name: HELD,
        path: HELD_PATH,
        load: LoadKind::Closed,
    },
    Route {
        name: "the same in bursts",
        path: HELD_PATH,
        load: LoadKind::Bursts,
    },
    Route {
        name: "the same at a fixed rate",
        path: HELD_PATH,
        load: LoadKind::Open { rate: RATE },
    },
    Route {
        name: "500 KB",
        path: "/load/posts",
        load: LoadKind::Closed,
    },
    Route {
        name: "500 KB from the database",
        path: "/load/stored",
        load: LoadKind::Closed,
    },
    Route {
        name: "a few bytes",
        path: "/load/small",
        load: LoadKind::Closed,
    },
];
const HELD_PATH: &str = "/load/posts?wait_ms=10";
/// Requests per second of the load at a fixed rate: well below what two cores can handle for two
/// services at a time.
const RATE: u32 = 200;

/// About four times as much for each request: a peak of 3 GB with 1600 connections.
const LARGE: &str = "/load/posts?posts=4000&wait_ms=10";

fn main() -> Result<()> {
    let options = Options::parse();
    let json = options
        .json
        .clone()
        .unwrap_or_else(|| repository().join("tests/membench.json"));
    let earlier = || -> Result<Results> { Ok(serde_json::from_str(&fs::read_to_string(&json)?)?) };
    let results = if options.draw {
        earlier()?
    } else if options.traces {
        let mut results = earlier()?;
        results.traces = traces(&options)?;
        results
    } else {
        run(&options)?
    };
    if !options.draw {
        fs::write(&json, serde_json::to_string(&results)? + "\n")?;
    }
    println!("\n{}\n", results.origin());
    println!("{}", results.tables().join("\n"));
    println!("{}", results.summary());
    for (theme, file) in plot::FILES {
        let svg = plot::draw(&results, theme).map_err(|err| anyhow!("{file}: {err}"))?;
        fs::write(repository().join(file), svg)?;
    }
    Ok(())
}

/// The load, and where services are built. Creates that folder.
fn set_up(options: &Options) -> Result<(Load, PathBuf)> {
    let short = options.is_short();
    let load = Load {
        threads: if short { 2 } else { 12 },
        connections: 1600,
        seconds: if short { 6 } else { 30 },
        rounds: options.rounds,
    };
    machine::check(load.connections)?;
    let work = repository().join("tests/target/membench");
    fs::create_dir_all(&work)?;
    Ok((load, work))
}

fn traces(options: &Options) -> Result<Vec<Cpu>> {
    let (load, work) = set_up(options)?;
    let proper = Collector::start(Manner::Proper);
    let silent = Collector::start(Manner::Silent);
    let pairs = service::traces(&options.build(&work), &proper, &silent)?;
    let half = Wrk::new(&work, (load.threads / 2).max(1), load.connections)?;
    ratios(
        &pairs,
        measure::Pair::start,
        &half,
        load.seconds / 2,
        load.rounds,
    )
}

fn run(options: &Options) -> Result<Results> {
    let (load, work) = set_up(options)?;
    let pair_seconds = load.seconds / 2;
    let build = options.build(&work);
    let default = service::default(&build)?;
    let services = service::all(&build, &default)?;
    let switches = service::switches(&build, &default)?;
    let wrk = Wrk::new(&work, load.threads, load.connections)?;
    // Two services run at a time, each with half of the threads.
    let half = Wrk::new(&work, (load.threads / 2).max(1), load.connections)?;

    let mode = if options.is_short() {
        "--short"
    } else {
        "--full"
    };
    let profiles: Vec<Service> = services
        .iter()
        .filter(|service| !service.baseline)
        .cloned()
        .collect();
    Ok(Results {
        date: machine::today()?,
        command: format!(
            "cargo run --manifest-path tests/Cargo.toml --bin membench -- {mode} --rounds {}",
            load.rounds
        ),
        machine: machine::describe()?,
        memory: memory(&services, HELD_PATH, &wrk, &load)?,
        large: memory(&profiles, LARGE, &wrk, &load)?,
        rate: RATE,
        fixed_rate: fixed_rate(&services, &load)?,
        cpu: cpu(&services, &half, pair_seconds, load.rounds)?,
        switches: [
            ratios(
                &[switches.metrics],
                measure::Pair::start_scraped,
                &half,
                pair_seconds,
                load.rounds,
            )?,
            ratios(
                &switches.profiling,
                measure::Pair::start,
                &half,
                pair_seconds,
                load.rounds,
            )?,
        ]
        .concat(),
        traces: traces(options)?,
        load,
    })
}

fn memory(services: &[Service], path: &str, wrk: &Wrk, load: &Load) -> Result<Vec<Memory>> {
    let mut handles: Vec<(usize, JoinHandle<Result<Round>>)> = Vec::new();
    for round in 1..=load.rounds {
        for index in rotated(services.len(), round) {
            let service = &services[index];
            println!("round {round}: {} {path}", service.name);
            handles.push((index, measure::memory(service, path, wrk, load.seconds)?));
        }
    }
    let mut rounds: Vec<Vec<Round>> = services.iter().map(|_| Vec::new()).collect();
    for (index, handle) in handles {
        rounds[index].push(
            handle
                .join()
                .map_err(|_| anyhow!("the memory sampling panicked"))??,
        );
    }
    Ok(services
        .iter()
        .zip(rounds)
        .map(|(service, rounds)| summary(service, rounds))
        .collect())
}

fn fixed_rate(services: &[Service], load: &Load) -> Result<Vec<FixedRate>> {
    let mut rounds = vec![Vec::new(); services.len()];
    for round in 1..=load.rounds {
        for index in rotated(services.len(), round) {
            println!("round {round}: {} at a fixed rate", services[index].name);
            let seconds = load.seconds;
            rounds[index].push(measure::fixed_rate(
                &services[index],
                HELD_PATH,
                RATE,
                seconds,
            )?);
        }
    }
    let rows = services
        .iter()
        .zip(rounds)
        .map(|(service, rounds)| FixedRate {
            name: service.name.clone(),
            p50_ms: Spread::of(rounds.iter().map(|(result, _)| result.p50_ms)),
            p99_ms: Spread::of(rounds.iter().map(|(result, _)| result.p99_ms)),
            peak_mb: Spread::of(rounds.iter().map(|(_, peak_mb)| *peak_mb)),
            failed: rounds.iter().map(|(result, _)| result.failed).sum(),
        });
    Ok(rows.collect())
}

fn summary(service: &Service, mut rounds: Vec<Round>) -> Memory {
    let of = |figure: &dyn Fn(&Round) -> f64| Spread::of(rounds.iter().map(figure));
    let after = AFTER
        .iter()
        .enumerate()
        .map(|(index, seconds)| After {
            seconds: *seconds,
            rss_mb: of(&|round| round.after_mb[index].0),
            without_lazy_free_mb: of(&|round| round.after_mb[index].0 - round.after_mb[index].1),
        })
        .collect();
    Memory {
        name: service.name.clone(),
        idle_mb: of(&|round| round.idle_mb),
        peak_mb: of(&|round| round.peak_mb),
        after,
        requests_per_second: of(&|round| round.result.requests / round.result.seconds),
        p50_ms: of(&|round| round.result.p50_ms),
        p99_ms: of(&|round| round.result.p99_ms),
        cpu_us_per_request: of(&|round| round.cpu_us_per_request),
        failed: rounds.iter().map(|round| round.result.failed).sum(),
        // As precise as the chart shows.
        series: rounds
            .swap_remove(0)
            .series
            .into_iter()
            .map(|(at, mb)| ((at * 100.0).round() / 100.0, (mb * 10.0).round() / 10.0))
            .collect(),
    }
}

fn cpu(services: &[Service], wrk: &Wrk, seconds: u32, rounds: u32) -> Result<Vec<Cpu>> {
    let reference = services
        .iter()
        .find(|service| service.name == "jemalloc")
        .context("the ratios refer to `jemalloc`, which is not among the rows")?;
    let pairs: Vec<[Service; 2]> = services
        .iter()
        .map(|service| [service.clone(), reference.clone()])
        .collect();
    ratios(&pairs, measure::Pair::start, wrk, seconds, rounds)
}

/// The CPU time of the first service of each pair as a ratio to the second, on every route.
fn ratios(
    pairs: &[[Service; 2]],
    start: fn(&Service, &Service) -> Result<measure::Pair>,
    wrk: &Wrk,
    seconds: u32,
    rounds: u32,
) -> Result<Vec<Cpu>> {
    let mut ratios = vec![vec![(Vec::new(), 0); ROUTES.len()]; pairs.len()];
    for round in 1..=rounds {
        for index in rotated(pairs.len(), round) {
            let [service, reference] = &pairs[index];
            println!("round {round}: {} against {}", service.name, reference.name);
            let pair = start(service, reference)?;
            for (route, (ratios, failures)) in ROUTES.iter().zip(&mut ratios[index]) {
                let (ratio, failed) = pair.cpu_ratio(route, wrk, seconds)?;
                ratios.push(ratio);
                *failures += failed;
            }
        }
    }
    let rows = pairs.iter().zip(ratios).flat_map(|([service, _], ratios)| {
        ROUTES
            .iter()
            .zip(ratios)
            .map(|(route, (ratios, failed))| Cpu {
                name: service.name.clone(),
                route: route.name.to_string(),
                ratio: Spread::of(ratios),
                failed,
            })
    });
    Ok(rows.collect())
}
