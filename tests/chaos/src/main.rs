//! `make chaos`: runs a seed, shortens what fails, and ends in the table.

use anyhow::Context;
use bench_table::{Claim, Claims};
use chaos::facts::Broken;
use chaos::plan::{Plan, draw};
use chaos::run::{Settings, run};
use chaos::shrink::Shrink;
use chaos::{faults, report};
use std::time::Duration;
use test_cluster::Installation;

/// So many runs are spent on the shortest account of a failure.
const RUNS: usize = 6;
/// So much of the reason why a fault could not be made.
const SHOWN: usize = 160;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let seed = variable("CHAOS_SEED", fastrand::u64(..10_000))?;
    let minutes: f64 = variable("CHAOS_MINUTES", 10.0)?;
    let length = Duration::from_secs_f64(minutes * 60.0);
    let (made, skipped) = faults::available();
    let plan = draw(seed, length, &made);
    println!("seed {seed}: {} faults in {minutes} minutes", plan.faults.len());
    let settings = settings(&format!("{seed}"), vec![]);
    let outcome = run(&settings, &plan).await.with_context(|| format!("seed {seed}"))?;
    for not_made in &outcome.not_made {
        println!("not made: {not_made}");
    }
    let mut claims = Claims::new("chaos");
    claims.conditions = vec![
        format!("seed {seed}, {minutes} minutes, {} faults", plan.faults.len()),
        format!(
            "of {:.0} s {:.0} s count: as far as the processes got the CPU that they asked for",
            outcome.lasted.as_secs_f64(),
            outcome.counted.as_secs_f64()
        ),
        format!("journal: {}", settings.journal.display()),
    ];
    let count = outcome.made.values().sum::<usize>();
    for (family, times) in &outcome.made {
        claims.conditions.push(format!("{} times {}: {}", times, family.name(), family.text()));
    }
    claims.claims = report::claims(&outcome.worst);
    let all = count == plan.faults.len();
    let bound = plan.faults.len().to_string();
    let short = |text: &String| text.chars().take(SHOWN).collect::<String>();
    let note = outcome.not_made.iter().map(short).collect::<Vec<_>>().join("; ");
    claims.claims.push(Claim::new("faults made", bound, count.to_string(), all).note(note));
    for (family, why) in skipped {
        claims.claims.push(Claim::not_measured(
            format!("fault {}", family.name()),
            family.text(),
            why,
        ));
    }
    claims.write(&Claims::folder())?;
    println!("{}", claims.markdown());
    let Some(first) = outcome.broken.first() else {
        anyhow::ensure!(all, "faults could not be made: {}", outcome.not_made.len());
        return Ok(());
    };
    shorten(&plan, first).await;
    anyhow::bail!("seed {seed}: {first}")
}

/// Runs it again without halves of the faults, for as long as the same invariant is broken.
async fn shorten(plan: &Plan, first: &Broken) {
    let mut shrink = Shrink::new(plan.ids(), variable("CHAOS_SHRINK", RUNS).unwrap_or(RUNS));
    while let Some(candidate) = shrink.candidate() {
        let part = plan.only(&candidate);
        let settings = settings(&format!("{}-shorter", plan.seed), vec![first.invariant]);
        let broken = run(&settings, &part).await.map(|outcome| outcome.broken).unwrap_or_default();
        let same = broken.iter().any(|broken| broken.invariant == first.invariant);
        println!("with {} faults: {}", candidate.len(), if same { "broken" } else { "held" });
        shrink.tried(same);
    }
    println!("the shortest account that was found, seed {}:", plan.seed);
    for fault in plan.only(&shrink.shortest().iter().copied().collect()).faults {
        println!("  {fault:?}");
    }
}

fn settings(name: &str, stop_at: Vec<u8>) -> Settings {
    Settings {
        program: Installation::built_binary(),
        env: vec![],
        journal: Claims::folder().join("chaos").join(format!("{name}.jsonl")),
        settle: Duration::from_secs(240),
        stop_at,
    }
}

fn variable<T: std::str::FromStr>(name: &str, default: T) -> anyhow::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => {
            text.parse().with_context(|| format!("{name} is {text:?}, a number is expected"))
        }
        _ => Ok(default),
    }
}
