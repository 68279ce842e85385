//! Whether Events add up: after 1,000 primaries have died together, and come back, each flip has its Event, or
//! the metric says that it was dropped.

use crate::support::bench::{PATIENCE, Site};
use crate::support::figures::{Name, alone};
use crate::support::pair::{Contents, Side, admin};
use crate::support::process::quiet;
use anyhow::{Result, ensure};
use bench_table::{Row, budgets};
use http::Request;
use kube::Client;
use serde_json::Value;
use std::time::Duration;
use test_cluster::{Replica, eventually};

const OBJECTS: usize = 1_000;
const NAMESPACE: &str = "events";
const CALM: Duration = Duration::from_secs(1);

pub(super) async fn measure(site: Site<'_>) -> Result<Vec<Row>> {
    let Site { cluster, installation, .. } = site;
    let client = admin(cluster).await?;
    let contents = Contents { primaries: OBJECTS, ..Contents::splits(NAMESPACE, OBJECTS) };
    Side::make(cluster, &client, &contents, NAMESPACE, true).await?;
    let mut side = Side::observe(cluster, &contents, NAMESPACE.into()).await?;
    let replica = &installation.replicas()[0];
    let pids = [replica.process().pid()];
    quiet(&pids, CALM).await?;
    let before = Counts::read(replica).await?;
    for ready in [false, true] {
        side.leg(&client, &contents, ready).await?;
        quiet(&pids, CALM).await?;
    }
    let after = Counts::read(replica).await?;
    let (flips, dropped) = (after.flips - before.flips, after.dropped - before.dropped);
    ensure!(flips >= 2 * OBJECTS as u64, "{flips} flips of {OBJECTS} objects, there and back");
    let published = eventually("every Event is published", PATIENCE, || async {
        let published = published(&client).await?;
        ensure!(
            published + dropped >= flips,
            "{published} published, {dropped} dropped of {flips}"
        );
        Ok::<_, anyhow::Error>(published)
    })
    .await;
    let published = match published {
        // One too many would come after those that are due.
        Ok(_) => {
            tokio::time::sleep(CALM).await;
            self::published(&client).await?
        }
        Err(error) => {
            println!("  {error:#}");
            self::published(&client).await?
        }
    };
    let missing = budgets::missing_events(published, dropped, flips);
    let title = "Events of flips missing after 1,000 primaries have died together, and come back";
    let name = Name { id: budgets::EVENTS.id, title, unit: "", scale: 1.0 };
    let note = format!("{flips} flips, {published} Events published, {dropped} counted as dropped");
    Ok(vec![budgets::EVENTS.judge(alone(name, &[vec![missing as f64]])?.note(note))])
}

/// What the program counts.
struct Counts {
    flips: u64,
    dropped: u64,
}

impl Counts {
    async fn read(replica: &Replica) -> Result<Self> {
        let metrics = replica.get("/metrics").await?;
        let sum = |name: &str| {
            let name = format!("linkerd_failover_{name}");
            let series = metrics.lines().filter_map(|line| line.strip_prefix(&name));
            let series = series.filter(|rest| rest.starts_with(['{', ' ']));
            series.filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>()
                as u64
        };
        Ok(Self { flips: sum("flips_total"), dropped: sum("events_dropped_total") })
    }
}

/// The Events of flips that the API server has.
async fn published(client: &Client) -> Result<u64> {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/events?fieldSelector=reason=Failover");
    let list: Value = client.request(Request::get(path).body(vec![])?).await?;
    Ok(list["items"].as_array().map_or(0, Vec::len) as u64)
}
