//! `make fuzz`: runs every target of `fuzz/` for `FUZZ_SECONDS`, and ends in the table of what was found.
//!
//! First it sees that what has to be noticed is noticed: a panic, a hang, too much memory.

mod claims;
mod run;
mod stats;
mod totals;

use anyhow::{Context, Result, ensure};
use bench_table::Claims;
use clap::Parser;
use run::{Fuzzed, Programs, planted};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;
use totals::Totals;

/// Runs the targets of `fuzz/`, which `cargo fuzz` has built
#[derive(Debug, Parser)]
struct Cli {
    /// Where `cargo fuzz` has left the targets
    #[arg(long)]
    programs: PathBuf,
    /// Where the corpora that grow, the findings and the counts are kept
    #[arg(long)]
    folder: PathBuf,
    /// How long each target runs
    #[arg(long, env = "FUZZ_SECONDS", default_value_t = 60)]
    seconds: u64,
    /// Targets that run at once; 0: one for each CPU
    #[arg(long, env = "FUZZ_AT_ONCE", default_value_t = 0)]
    at_once: usize,
    /// Only the targets of these names
    #[arg(long, env = "ONLY", value_delimiter = ',')]
    only: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let only: Vec<String> = cli.only.iter().filter(|name| !name.is_empty()).cloned().collect();
    let programs = Programs::new(cli.programs, cli.folder.clone());
    let targets = programs.targets(&only)?;
    ensure!(!targets.is_empty(), "no target of fuzz/fuzz_targets is called {}", only.join(", "));

    let noticed = planted(&programs)?;
    let fuzzed = run_all(&programs, targets, Duration::from_secs(cli.seconds), cli.at_once)?;
    let totals = Totals::add(&cli.folder, &fuzzed)?;
    let claims = claims::of(&noticed, &fuzzed, &totals);
    print!("\n{}", claims.markdown());
    claims.write(&Claims::folder())?;
    Ok(if claims::is_clean(&claims) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Some targets at once, each as soon as one before it has ended.
fn run_all(
    programs: &Programs,
    targets: Vec<String>,
    time: Duration,
    at_once: usize,
) -> Result<Vec<Fuzzed>> {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let queue = Mutex::new(targets.into_iter());
    let next = || queue.lock().ok()?.next();
    let work = || -> Result<Vec<Fuzzed>> {
        let mut fuzzed = vec![];
        while let Some(target) = next() {
            eprintln!("{target}: {} s", time.as_secs());
            let one = programs.run(&target, time).with_context(|| format!("target {target}"))?;
            eprintln!("{target}: {} runs, {} findings", one.runs, one.findings.len());
            fuzzed.push(one);
        }
        Ok(fuzzed)
    };
    let mut all = vec![];
    thread::scope(|scope| -> Result<()> {
        let at_once = if at_once == 0 { cpus } else { at_once };
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let fuzzed = worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?;
            all.extend(fuzzed?);
        }
        Ok(())
    })?;
    all.sort_by(|one, other| one.target.cmp(&other.target));
    Ok(all)
}
