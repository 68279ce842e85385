//! How long each stage of a flip takes on average, by the program's own histogram.

use anyhow::Result;
use std::collections::BTreeMap;
use test_cluster::Installation;

const SUM: &str = "linkerd_failover_flip_stage_seconds_sum{stage=\"";
const COUNT: &str = "linkerd_failover_flip_stage_seconds_count{stage=\"";

/// Of each stage, the seconds in all and how often it was passed.
pub(crate) struct Stages(BTreeMap<String, [f64; 2]>);

impl Stages {
    /// Of all replicas up to now.
    pub(crate) async fn read(installation: &Installation) -> Result<Self> {
        let mut stages = BTreeMap::<_, [f64; 2]>::new();
        for replica in installation.replicas() {
            let metrics = replica.get("/metrics").await?;
            for (i, prefix) in [SUM, COUNT].into_iter().enumerate() {
                let lines = metrics.lines().filter_map(|line| line.strip_prefix(prefix));
                for (stage, rest) in lines.filter_map(|line| line.split_once('"')) {
                    let value = rest.rsplit(' ').next().and_then(|value| value.parse().ok());
                    stages.entry(stage.to_owned()).or_default()[i] += value.unwrap_or(0.0);
                }
            }
        }
        Ok(Self(stages))
    }

    /// The averages since an earlier reading; empty where the program has no such histogram.
    pub(crate) fn since(&self, before: &Self) -> String {
        let averages = self.0.iter().filter_map(|(stage, now)| {
            let before = before.0.get(stage).copied().unwrap_or_default();
            let [seconds, count] = [now[0] - before[0], now[1] - before[1]];
            (count > 0.0).then(|| format!("{stage} {:.2}", seconds / count * 1e3))
        });
        let averages: Vec<_> = averages.collect();
        match averages.is_empty() {
            true => String::new(),
            false => format!("ms a stage: {}", averages.join(", ")),
        }
    }
}
