//! What one flip takes while nobody calls the webhook, and while reviews of huge splits arrive at 50 a
//! second; measured only where it is named.
//!
//! The reviews are of 340 KB and of 1.4 MB: of objects that are new, and of objects that are stored
//! with as much already, which have to be read. The API server has no part in them.

use crate::support::bench::Site;
use crate::support::figures::{Name, beside};
use crate::support::load::WebhookClient;
use crate::support::pair::{Contents, Pair};
use crate::support::reviews::{TRAFFIC_SPLIT, review};
use anyhow::Result;
use axum::body::Bytes;
use bench_table::Row;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use test_cluster::webhook_ca;
use tokio::task::JoinHandle;

const EVERY: Duration = Duration::from_millis(20);
/// Flips of a round, so that the load comes and goes.
const FLIPS: usize = 10;

pub(super) async fn measure(site: Site<'_>) -> Result<Vec<Row>> {
    let Site { options, cluster, installation } = site;
    let ca = webhook_ca(cluster).await?;
    let webhook = installation.replicas()[0].webhook_addr();
    let client = Arc::new(WebhookClient::new(webhook, &ca)?);
    let mut pair = Pair::new(cluster, installation, Contents::splits("heavy", 1)).await?;
    let mut rows = vec![];
    for (id, title, backends, stored) in [
        ("heavy-340k", "one flip beside reviews of 340 KB, p99", 10_000, false),
        ("heavy-1400k", "one flip beside reviews of 1.4 MB, p99", 41_000, false),
        ("heavy-340k-stored", "one flip beside reviews of 340 KB, stored, p99", 10_000, true),
        ("heavy-1400k-stored", "one flip beside reviews of 1.4 MB, stored, p99", 41_000, true),
    ] {
        let (review, answered) = (huge(backends, stored), Arc::new(AtomicUsize::new(0)));
        let (mut rounds, mut loaded) = (vec![], Duration::ZERO);
        for _ in options.budget(20, 5) {
            let quiet = flips(&mut pair).await?;
            let began = Instant::now();
            let load = Load(tokio::spawn(call(client.clone(), review.clone(), answered.clone())));
            let beside_load = flips(&mut pair).await?;
            drop(load);
            loaded += began.elapsed();
            rounds.push([beside_load, quiet]);
        }
        let each = answered.load(Ordering::Relaxed) as f64 / loaded.as_secs_f64();
        let row = beside(Name::milliseconds(id, title), &rounds, 0.99)?;
        rows.push(
            row.note(format!("times one without reviews; {each:.0} of them answered a second")),
        );
    }
    Ok(rows)
}

struct Load(JoinHandle<()>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn flips(pair: &mut Pair) -> Result<Vec<f64>> {
    let mut took = vec![];
    for i in 0..FLIPS {
        took.push(pair.leg(0, i % 2 == 1).await?.as_secs_f64());
        tokio::time::sleep(Duration::from_millis(75)).await;
    }
    Ok(took)
}

/// Calls both webhooks in turn, whether or not they have answered.
async fn call(client: Arc<WebhookClient>, review: Bytes, answered: Arc<AtomicUsize>) {
    let mut ticks = tokio::time::interval(EVERY);
    for path in ["/mutate", "/validate"].into_iter().cycle() {
        ticks.tick().await;
        let (client, review, answered) = (client.clone(), review.clone(), answered.clone());
        tokio::spawn(async move {
            if client.call(path, review).await.is_ok() {
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

/// A review of a split with so many backends.
fn huge(backends: usize, stored: bool) -> Bytes {
    let backends: Vec<_> =
        (0..backends).map(|i| json!({"service": format!("svc-{i:05}"), "weight": 1})).collect();
    let split = json!({
        "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {"name": "huge", "namespace": "heavy-ours",
            "labels": {"failover.linkerd.io/controlled-by": "linkerd-failover"}},
        "spec": {"service": "primary-0", "backends": backends},
    });
    let (operation, old) = if stored { ("UPDATE", split.clone()) } else { ("CREATE", Value::Null) };
    let user = json!({"username": "kubernetes-admin"});
    let mut review = review(&TRAFFIC_SPLIT, operation, &split, &old, &user, &Value::Null);
    review["request"]["dryRun"] = json!(true);
    Bytes::from(review.to_string())
}
