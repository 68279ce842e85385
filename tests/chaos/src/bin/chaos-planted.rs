//! `make chaos-planted`: runs the program with each defect that can be built in, under faults that fit it, until
//! the observer catches it. One that is not caught fails.

use anyhow::{Context, ensure};
use bench_table::{Claim, Claims};
use chaos::facts::Broken;
use chaos::faults;
use chaos::plan::{Family, Victim, draw};
use chaos::planted::{PLANTED, Planted, VARIABLE, WITHIN};
use chaos::run::{Settings, run};
use std::path::PathBuf;
use std::time::Duration;

/// Where the program with the feature is.
const PROGRAM: &str = "CHAOS_PLANTED_PROGRAM";
/// Names one defect; the others are left out.
const ONLY: &str = "CHAOS_PLANTED";
/// What the faults are drawn by.
const SEED: u64 = 1;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let program = PathBuf::from(
        std::env::var(PROGRAM)
            .with_context(|| format!("{PROGRAM} is not set: use make chaos-planted"))?,
    );
    let only = std::env::var(ONLY).unwrap_or_default();
    let mut claims = Claims::new("chaos-planted");
    claims
        .conditions
        .push(format!("seed {SEED}; the favoured faults alone, where a defect names some"));
    for Planted { name, favours, holds, .. } in PLANTED.iter().filter(|p| !p.favours.is_empty()) {
        let holds = holds.map(|holds| format!(", of the leader, for {} s each", holds.as_secs()));
        let favours = favours.join(", ");
        claims.conditions.push(format!("{name}: {favours}{}", holds.unwrap_or_default()));
    }
    for planted in PLANTED.iter().filter(|planted| only.is_empty() || planted.name == only) {
        let claim = caught(planted, program.clone()).await.with_context(|| planted.name)?;
        println!("{}: {} {}", claim.name, claim.measured, claim.note);
        claims.claims.push(claim);
    }
    ensure!(!claims.claims.is_empty(), "{ONLY}={only}: there is no such defect");
    claims.write(&Claims::folder())?;
    println!("{}", claims.markdown());
    ensure!(claims.all_held(), "a planted fault was not caught");
    Ok(())
}

/// Runs one defect until one of its invariants is broken.
async fn caught(planted: &Planted, program: PathBuf) -> anyhow::Result<Claim> {
    let settings = Settings {
        program,
        env: vec![(VARIABLE.into(), planted.name.into())],
        journal: Claims::folder().join("chaos").join(format!("planted-{}.jsonl", planted.name)),
        // Where the machine is busy, what counts of the time is little.
        settle: WITHIN.saturating_sub(planted.length + Duration::from_secs(10)),
        stop_at: planted.caught_by.to_vec(),
    };
    let mut plan = draw(SEED, planted.length, &families(planted));
    if let Some(length) = planted.holds {
        // One after the other: they would take turns all the same.
        let fits = usize::try_from(planted.length.as_secs() / length.as_secs()).unwrap_or(1);
        plan.faults.truncate(fits);
        for (nth, fault) in (0..).zip(&mut plan.faults) {
            (fault.replica, fault.start, fault.length) = (Victim::Leader, length * nth, length);
        }
    }
    let outcome = run(&settings, &plan).await?;
    let by: Option<&Broken> =
        outcome.broken.iter().find(|broken| planted.caught_by.contains(&broken.invariant));
    let others =
        outcome.broken.iter().filter(|broken| !planted.caught_by.contains(&broken.invariant));
    let others: Vec<String> =
        others.map(|broken| format!("{} {}", broken.invariant, broken.object)).collect();
    let name = format!("{}: {}", planted.name, planted.text);
    let bound = format!("caught within {} s", WITHIN.as_secs());
    let Some(by) = by else {
        return Ok(Claim::new(name, bound, format!("not caught in {:?}", outcome.lasted), false));
    };
    let note = format!(
        "by invariant {} ({}): {}",
        by.invariant,
        by.name,
        by.account.first().cloned().unwrap_or_default()
    );
    let note = if others.is_empty() {
        note
    } else {
        format!("{note}; others broken before: {}", others.join(", "))
    };
    let kept = outcome.lasted <= WITHIN;
    Ok(Claim::new(name, bound, seconds(outcome.lasted), kept).note(note))
}

fn families(planted: &Planted) -> Vec<Family> {
    let (made, _) = faults::available();
    let favoured = |family: &Family| planted.favours.contains(&family.name());
    match planted.favours {
        [] => made,
        _ => made.into_iter().filter(favoured).collect(),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
