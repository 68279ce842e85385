//! What a person waits for beside 10,000 splits: `status` of all of them, and `check`.

use super::large::OBJECTS;
use crate::support::figures::{Name, alone};
use crate::support::options::Options;
use anyhow::{Result, ensure};
use bench_table::Row;
use serde_json::Value;
use std::process::Stdio;
use std::time::Instant;
use test_cluster::Cluster;
use tokio::process::Command;

const ROUNDS: usize = 7;

pub(super) async fn rows(options: &Options, cluster: &Cluster) -> Result<Vec<Row>> {
    let status = ["status", "-A", "-o", "json"];
    let check = ["check", "-o", "json", "--wait=0s"];
    let titles = ["status of 10,000 splits", "check of 10,000 splits"];
    let mut rows = vec![];
    for (id, title, line) in
        [("status-10000", titles[0], &status), ("check-10000", titles[1], &check)]
    {
        let mut rounds = vec![];
        for _ in 0..ROUNDS {
            rounds.push(vec![seconds(options, cluster, line).await?]);
        }
        rows.push(alone(Name::seconds(id, title), &rounds)?.aim(2.0));
    }
    Ok(rows)
}

/// From the start of the program until all is printed.
async fn seconds(options: &Options, cluster: &Cluster, line: &[&str]) -> Result<f64> {
    let mut command = Command::new(options.program());
    command.args(line).env("KUBECONFIG", cluster.kubeconfig()).stderr(Stdio::null());
    let begun = Instant::now();
    let output = command.output().await?;
    let seconds = begun.elapsed().as_secs_f64();
    // A check fails where Linkerd is not there; that it has looked at the objects is what counts.
    let printed: Value = serde_json::from_slice(&output.stdout)?;
    let is_whole = match printed.as_array() {
        Some(objects) => objects.len() == OBJECTS,
        None => printed.to_string().contains("all objects can be read"),
    };
    ensure!(is_whole, "{line:?}: found less than there is");
    Ok(seconds)
}
