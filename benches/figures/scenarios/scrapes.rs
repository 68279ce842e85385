//! What the metrics of 10,000 objects cost, object by object and as sums, and whether a scrape delays a flip.

use crate::support::bench::Bench;
use crate::support::figures::{Name, alone, beside};
use crate::support::options::Options;
use crate::support::pair::{Contents, Round, Side, admin};
use crate::support::process::{cpu, quiet};
use anyhow::Result;
use bench_table::Row;
use std::time::{Duration, Instant};
use test_cluster::usage::memory;
use test_cluster::{Cluster, Replica};

const OBJECTS: usize = 10_000;
const CALM: Duration = Duration::from_millis(500);
const SCRAPES: usize = 20;

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    if !bench.wants_any(&["scrapes"], false) {
        return Ok(());
    }
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    let options = bench.options();
    bench.named_scenario("scrapes", measure(&options, &cluster)).await;
    cluster.stop().await
}

async fn measure(options: &Options, cluster: &Cluster) -> Result<Vec<Row>> {
    let client = admin(cluster).await?;
    let many = Contents::splits("scraped", OBJECTS - 1);
    Side::make(cluster, &client, &many, "scraped", true).await?;
    let one = Contents::splits("flipped", 1);
    Side::make(cluster, &client, &one, "flipped", true).await?;
    let mut side = Side::observe(cluster, &one, "flipped".into()).await?;
    let mut rows = vec![];
    for (value, what) in [("false", "as sums"), ("true", "object by object")] {
        let values = [&format!("metrics.perObject={value}"), "webhook.enabled=false"];
        let installation = options.install(cluster, &values, 1).await?;
        let replica = &installation.replicas()[0];
        quiet(&[replica.process().pid()], CALM).await?;
        rows.extend(scrapes(replica, what).await?);
        if value == "true" {
            let rounds = flips(options, replica, async |ready| {
                Ok(side.leg(&client, &one, ready).await?.as_secs_f64())
            });
            let name = Name::milliseconds(
                "scrapes-flip",
                "one flip while /metrics is read again and again, beside not",
            );
            rows.push(beside(name, &rounds.await?, 0.5)?);
        }
    }
    Ok(rows)
}

/// The CPU, the size and the memory of scrapes.
async fn scrapes(replica: &Replica, what: &str) -> Result<Vec<Row>> {
    let pid = replica.process().pid();
    let before = memory(pid)?;
    let (mut used, mut size) = (vec![], 0);
    for _ in 0..SCRAPES {
        let before = cpu(pid)?;
        size = replica.get("/metrics").await?.len();
        used.push(vec![cpu(pid)?.saturating_sub(before).as_secs_f64()]);
    }
    let grown = memory(pid)?.resident - before.resident;
    let (id, title) = (
        format!("scrapes-cpu-{}", what.replace(' ', "-")),
        format!("CPU of a scrape, 10,000 objects {what}"),
    );
    let note = format!(
        "{size} bytes, {grown:+.1} MiB resident after {SCRAPES}, {:.1} MiB before",
        before.resident
    );
    Ok(vec![alone(Name::milliseconds(&id, &title), &used)?.note(note)])
}

/// Flips with and without a scrape under way, in turn.
async fn flips(
    options: &Options,
    replica: &Replica,
    mut leg: impl AsyncFnMut(bool) -> Result<f64>,
) -> Result<Vec<Round>> {
    let mut rounds = vec![];
    let pid = replica.process().pid();
    for round in options.budget(60, 20) {
        let mut both: Round = [vec![], vec![]];
        for (i, scraped) in [round % 2 == 0, round % 2 == 1].into_iter().enumerate() {
            let took = match scraped {
                true => {
                    tokio::select! {
                        took = leg(i == 1) => took?,
                        error = again_and_again(replica) => return Err(error),
                    }
                }
                false => leg(i == 1).await?,
            };
            both[usize::from(!scraped)].push(took);
            quiet(&[pid], Duration::from_millis(75)).await?;
        }
        if round > 1 {
            rounds.push(both);
        }
    }
    Ok(rounds)
}

/// Ends with the error of a scrape.
async fn again_and_again(replica: &Replica) -> anyhow::Error {
    let end = Instant::now() + Duration::from_secs(600);
    while Instant::now() < end {
        if let Err(error) = replica.get("/metrics").await {
            return error;
        }
    }
    anyhow::anyhow!("the flip has not come")
}
