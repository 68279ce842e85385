//! What the events of slices cost that concern no failover object: CPU, and requests.

use crate::support::bare_client;
use crate::support::bench::Site;
use crate::support::figures::{Name, alone};
use crate::support::pair::admin;
use crate::support::process::{cpu, quiet};
use crate::support::subject::Subject;
use anyhow::{Context, Result};
use bench_table::Row;
use futures::{StreamExt, TryStreamExt, stream};
use http::{Request, header};
use kube::Client;
use serde_json::json;
use std::time::{Duration, Instant};
use test_cluster::Workload;

const NAMESPACE: &str = "unrelated";
/// In each round.
const EVENTS: usize = 1_000;
const SLICES: usize = 50;
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn measure(site: Site<'_>) -> Result<Vec<Row>> {
    let Site { options, cluster, installation } = site;
    let workload = Workload::new(cluster, NAMESPACE).await?;
    for i in 0..SLICES {
        workload.service_with_slice(&name(i), 1).await?;
    }
    let client = admin(cluster).await?;
    let mut bare = bare_client::start(cluster, Subject::Split).await?;
    let pids = [installation.replicas()[0].process().pid(), bare.pid()?];
    let (mut ours, mut beside, mut requests) = (vec![], vec![], 0.0);
    for round in options.budget(8, 5) {
        quiet(&pids, Duration::from_millis(300)).await?;
        bare.check()?;
        let before = Reading::take(&client, pids).await?;
        let began = Instant::now();
        tokio::time::timeout(PATIENCE, events(&client, round))
            .await
            .context("slices are not written")??;
        quiet(&pids, Duration::from_millis(100)).await?;
        let busy = Reading::take(&client, pids).await?.since(&before);
        // As long, without an event: what it does anyhow.
        let before = Reading::take(&client, pids).await?;
        tokio::time::sleep(began.elapsed()).await;
        let idle = Reading::take(&client, pids).await?.since(&before);
        let each = |i: usize| (busy.cpu[i] - idle.cpu[i]) / EVENTS as f64;
        ours.push(vec![each(0)]);
        beside.push(each(1));
        requests += busy.requests - idle.requests - EVENTS as f64;
    }
    let title = "CPU for the event of an unrelated slice";
    let name = Name { id: "unrelated-slice", title, unit: "µs", scale: 1e6 };
    let calls = requests / (EVENTS * ours.len()) as f64;
    let note = format!("all of the way from the socket; {calls:.3} requests to the API an event");
    let row = alone(name, &ours)?.aim(5.0).note(note);
    let bare = beside.iter().sum::<f64>() / beside.len() as f64 * 1e6;
    Ok(vec![Row { beside: Some(bare), ..row }])
}

fn name(i: usize) -> String {
    format!("unrelated-{i}")
}

/// The seconds of CPU of processes, and the requests that the API server has had.
struct Reading {
    cpu: [f64; 2],
    requests: f64,
}

impl Reading {
    async fn take(client: &Client, pids: [u32; 2]) -> Result<Self> {
        let seconds = |pid| anyhow::Ok(cpu(pid)?.as_secs_f64());
        let cpu = [seconds(pids[0])?, seconds(pids[1])?];
        let metrics = client.request_text(Request::get("/metrics").body(vec![])?).await?;
        let requests = metrics.lines().filter(|line| {
            line.starts_with("apiserver_request_total{")
                // Leases are renewed, probes and metrics are read at any time.
                && [",resource=\"leases\"", ",resource=\"\"", ",verb=\"WATCH\""]
                    .iter()
                    .all(|label| !line.contains(label))
        });
        let requests =
            requests.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum();
        Ok(Self { cpu, requests })
    }

    fn since(&self, before: &Self) -> Self {
        let cpu = [self.cpu[0] - before.cpu[0], self.cpu[1] - before.cpu[1]];
        Self { cpu, requests: self.requests - before.requests }
    }
}

/// Lets endpoints come and go.
async fn events(client: &Client, round: usize) -> Result<()> {
    let writes = (0..EVENTS).map(|i| async move {
        let name = name(i % SLICES);
        let path =
            format!("/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices/{name}");
        let addresses = [format!("10.7.{}.{}", i / 250 + 4 * (round % 60), i % 250 + 1)];
        let endpoints =
            json!([{"addresses": addresses, "conditions": {"ready": (i / SLICES).is_multiple_of(2)}}]);
        let request = Request::patch(path)
            .header(header::CONTENT_TYPE, "application/merge-patch+json")
            .body(serde_json::to_vec(&json!({"endpoints": endpoints}))?)?;
        client.request_text(request).await?;
        anyhow::Ok(())
    });
    stream::iter(writes).buffer_unordered(8).try_collect().await
}
