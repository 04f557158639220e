//! The siege behind README.md: a service from `loco new` and one from this template, each in its
//! own memory cgroup, are attacked in turn. Requires root, and `ulimit -n 20000`.
//!
//! `cargo run --manifest-path tests/Cargo.toml --bin siege` writes `tests/siege.json` and the
//! charts, and prints the table.

#[cfg(unix)]
mod siege {
    use std::{fs, path::PathBuf, time::Duration};

    use anyhow::{anyhow, Result};
    use clap::Parser;
    use template_tests::{
        machine, repository,
        siege::{
            attack, cgroup,
            collectors::{self, Collectors},
            plot, Attack, Service, Siege, OURS,
        },
    };

    #[derive(Parser)]
    struct Options {
        /// Memory limit of the cgroup, in MiB
        #[arg(long, default_value_t = 256)]
        limit: u64,
        #[arg(long, default_value_t = 30)]
        seconds: u64,
        #[arg(long, default_value_t = 3)]
        rounds: u32,
        /// Run only attacks whose name contains this
        #[arg(long, default_value = "")]
        only: String,
        /// Attack only the service of this template
        #[arg(long)]
        ours: bool,
        /// Reuse the services built by an earlier run
        #[arg(long)]
        built: bool,
        /// Measure only what services with traces achieve, by how the collector behaves, and keep
        /// the other results of an earlier run
        #[arg(long, conflicts_with_all = ["only", "ours", "draw"])]
        collectors: bool,
        /// Only draw and print the results of an earlier run
        #[arg(long)]
        draw: bool,
        /// Where to store the results
        #[arg(long)]
        json: Option<PathBuf>,
    }

    pub fn main() -> Result<()> {
        let options = Options::parse();
        let json = options
            .json
            .clone()
            .unwrap_or_else(|| repository().join("tests/siege.json"));
        let earlier =
            || -> Result<Siege> { Ok(serde_json::from_str(&fs::read_to_string(&json)?)?) };
        let siege = if options.draw {
            earlier()?
        } else if options.collectors {
            let collectors = Some(collectors(&options)?);
            Siege {
                collectors,
                ..earlier()?
            }
        } else {
            let collectors = earlier().ok().and_then(|earlier| earlier.collectors);
            Siege {
                collectors,
                ..run(&options)?
            }
        };
        if !options.draw {
            fs::write(&json, serde_json::to_string_pretty(&siege)? + "\n")?;
        }
        println!("\n{}\n\n{}", siege.origin(), siege.table());
        if let Some(collectors) = &siege.collectors {
            println!("\n{}\n\n{}", collectors.origin(), collectors.table());
        }
        if options.json.is_none() {
            for (theme, file) in plot::FILES {
                let svg = plot::draw(&siege, theme).map_err(|err| anyhow!("{file}: {err}"))?;
                fs::write(repository().join(file), svg)?;
            }
        }
        Ok(())
    }

    fn work() -> Result<PathBuf> {
        let work = repository().join("tests/target/siege");
        fs::create_dir_all(&work)?;
        Ok(work)
    }

    fn collectors(options: &Options) -> Result<Collectors> {
        let time = Duration::from_secs(options.seconds);
        let (limit, rounds) = (options.limit << 20, options.rounds);
        Ok(Collectors {
            date: machine::today()?,
            machine: machine::describe()?,
            limit_mib: options.limit,
            seconds: options.seconds,
            rounds: collectors::rounds(&work()?, options.built, limit, time, rounds)?,
        })
    }

    fn run(options: &Options) -> Result<Siege> {
        let work = work()?;
        let mut services = vec![Service::generated(&work, options.built)?];
        if !options.ours {
            services.insert(0, Service::stock(&work, options.built)?);
        }
        let mut outcomes = Vec::new();
        for round in 1..=options.rounds {
            for row in Attack::ALL {
                for service in &services {
                    // One round is enough for the other service.
                    let is_done = round > 1 && service.name != OURS;
                    if is_done || !row.name().contains(&options.only) {
                        continue;
                    }
                    let time = Duration::from_secs(options.seconds);
                    let outcome = attack(service, row, options.limit << 20, time)?;
                    println!("round {round}: {}", serde_json::to_string(&outcome)?);
                    outcomes.push(outcome);
                }
            }
        }
        Ok(Siege {
            date: machine::today()?,
            machine: machine::describe()?,
            cgroup_version: cgroup::version(),
            limit_mib: options.limit,
            seconds: options.seconds,
            rounds: options.rounds,
            outcomes,
            collectors: None,
        })
    }
}

#[cfg(unix)]
fn main() -> anyhow::Result<()> {
    siege::main()
}

#[cfg(not(unix))]
fn main() {
    eprintln!("the siege needs memory cgroups, so it runs only on Linux");
}
