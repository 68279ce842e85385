//! `make bench-heavy`: what one flip takes, from the write of the endpoint until the weights are seen,
//! while nobody calls the webhook, and while reviews of huge splits arrive at 50 a second.
//!
//! The reviews are of 340 KB and of 1.4 MB: of objects that are new, and of objects that are stored
//! with as much already, which have to be read. The API server has no part in them.

mod support;

use anyhow::{Context, Result};
use axum::body::Bytes;
use kube::Api;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::load::{WebhookClient, webhook_ca};
use support::report::Percentiles;
use support::reviews::{TRAFFIC_SPLIT, review};
use support::{seen, splits};
use test_cluster::{Cluster, InstallOptions, Installation, Workload};

const PATIENCE: Duration = Duration::from_secs(60);
const FLIPS: usize = 100;
const EVERY: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    let values = vec!["namespaceMetadata.enabled=false".into()];
    let options = InstallOptions { values, ..support::options() };
    let installation = Installation::install(&cluster, options).await?;
    installation.wait_ready(PATIENCE).await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    workload.service_with_slice("primary", 1).await?;
    workload.service_with_slice("fallback", 1).await?;
    let splits = splits::api(&cluster, "emojivoto");
    splits::create(&splits, splits::split("split", "primary", ["primary", "fallback"])).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;

    let ca = webhook_ca(&cluster).await?;
    let client = Arc::new(WebhookClient::new(installation.replicas()[0].webhook_addr(), &ca)?);
    println!("one flip, {FLIPS} times, endpoint write to weights seen:");
    Percentiles::of(flips(&workload, &splits).await?).print("no reviews");
    for (what, backends, stored) in [
        ("340 KB, new", 10_000, false),
        ("1.4 MB, new", 41_000, false),
        ("340 KB, stored", 10_000, true),
        ("1.4 MB, stored", 41_000, true),
    ] {
        let answered = Arc::new(AtomicUsize::new(0));
        let review = huge(backends, stored);
        let calling = tokio::spawn(call(client.clone(), review, answered.clone()));
        let began = Instant::now();
        Percentiles::of(flips(&workload, &splits).await?).print(what);
        calling.abort();
        let each = answered.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
        println!("    {each:.0} of them answered a second");
    }
    drop(installation);
    cluster.stop().await
}

/// Calls both webhooks in turn, whether or not they have answered.
async fn call(client: Arc<WebhookClient>, review: Bytes, answered: Arc<AtomicUsize>) {
    let mut ticks = tokio::time::interval(EVERY);
    for path in ["/mutate?timeout=10s", "/validate?timeout=10s"].into_iter().cycle() {
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
    let mut split = splits::split("huge", "primary", ["primary", "fallback"]);
    split["metadata"]["namespace"] = json!("emojivoto");
    split["spec"]["backends"] = json!(backends);
    let (operation, old) = if stored { ("UPDATE", split.clone()) } else { ("CREATE", Value::Null) };
    let user = json!({"username": "kubernetes-admin"});
    let mut review = review(&TRAFFIC_SPLIT, operation, &split, &old, &user, &Value::Null);
    review["request"]["dryRun"] = json!(true);
    Bytes::from(review.to_string())
}

/// How long the weights take to follow, each time the primary goes or comes.
async fn flips(workload: &Workload<'_>, splits: &Api<DynamicObject>) -> Result<Vec<Duration>> {
    let mut took = vec![];
    for i in 0..FLIPS {
        let ready = i % 2;
        let events = seen::watch(splits).await?;
        seen::warm_up(splits).await?;
        let began = Instant::now();
        let has_flipped = |split: &_| splits::has_weights(split, splits::wanted(ready));
        let both = async {
            tokio::try_join!(
                workload.set_ready("primary", ready),
                seen::until(splits, events, 1, has_flipped, began)
            )
        };
        let ((), flip) = tokio::time::timeout(PATIENCE, both).await.context("no flip")??;
        took.push(flip);
    }
    Ok(took)
}
