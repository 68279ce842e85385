//! A primary that is lost and comes back, again and again, and the flips that follow.

use anyhow::{Context, Result, ensure};
use kube::api::Api;
use kube::core::DynamicObject;
use std::time::{Duration, Instant};
use test_cluster::{Workload, eventually};

/// A flip that has not landed by then is missed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Flips of one split, and what came of them.
#[derive(Debug, Default)]
pub struct Flips {
    /// How many were seen.
    pub landed: usize,
    /// Why others were not.
    pub missed: Vec<String>,
    /// The longest, from the write of the endpoints to the weights.
    pub longest: Duration,
}

impl Flips {
    /// Takes the primary's endpoints away, or gives them back, and waits for the weights.
    pub async fn flip(
        &mut self,
        workload: &Workload<'_>,
        splits: &Api<DynamicObject>,
        split: &str,
        primary: &str,
        is_ready: bool,
    ) -> Result<()> {
        let began = Instant::now();
        workload.set_ready(primary, usize::from(is_ready)).await?;
        let seen = eventually("the weights follow", PATIENCE, || async {
            let now = on_primary(&splits.get(split).await?)?;
            ensure!(now == is_ready, "on the primary: {now}");
            anyhow::Ok(())
        })
        .await;
        match seen {
            Ok(()) => {
                self.landed += 1;
                self.longest = self.longest.max(began.elapsed());
            }
            Err(error) => self.missed.push(format!("{error:#}")),
        }
        Ok(())
    }
}

/// Whether a split sends its traffic to its first backend.
fn on_primary(split: &DynamicObject) -> Result<bool> {
    let weight = |n: usize| {
        let weight = &split.data["spec"]["backends"][n]["weight"];
        weight.as_f64().with_context(|| format!("backend {n} has the weight {weight}"))
    };
    Ok(weight(0)? > 0.0 && weight(1)? <= 0.0)
}
