//! Three seeds of one minute each: half of it with faults, half until everything has settled. `make chaos` runs
//! longer ones.

use anyhow::{Result, ensure};
use chaos::faults;
use chaos::plan::draw;
use chaos::run::{Settings, run};
use std::time::Duration;
use test_cluster::{Installation, target_dir};

const SEEDS: [u64; 3] = [11, 12, 13];
const FAULTS: Duration = Duration::from_secs(30);

/// One after the other: each has two control planes of its own.
#[tokio::test(flavor = "multi_thread")]
async fn no_invariant_is_broken_by_the_faults_of_three_seeds() -> Result<()> {
    for seed in SEEDS {
        let (made, _) = faults::available();
        let plan = draw(seed, FAULTS, &made);
        let settings = Settings {
            program: Installation::built_binary(),
            env: vec![],
            journal: target_dir().join("proof/chaos").join(format!("test-{seed}.jsonl")),
            settle: Duration::from_secs(25),
            stop_at: vec![],
        };
        let report = run(&settings, &plan).await?;
        let journal = settings.journal.display();
        ensure!(report.broken.is_empty(), "seed {seed}, {journal}: {}", report.broken[0]);
        ensure!(report.not_made.is_empty(), "seed {seed}, {journal}: {:?}", report.not_made);
        ensure!(!report.worst.is_empty(), "seed {seed}: nothing was observed");
    }
    Ok(())
}
