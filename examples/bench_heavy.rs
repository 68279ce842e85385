//! `make bench-heavy`: what one flip takes, from the write of the endpoint until the weights are seen,
//! while nobody asks the webhook, and while reviews of huge splits arrive at 50 a second.
//!
//! The reviews are of 340 KB and of 1.4 MB: of objects that are new, and of objects that are stored
//! with as much already, which have to be read. The API server has no part in them.

#[expect(dead_code, reason = "the other benchmarks use the rest of it")]
mod steady;

use anyhow::{Context, Result};
use axum::body::Bytes;
use futures::{StreamExt, TryStreamExt};
use kube::Api;
use kube::api::{DynamicObject, ListParams, PostParams, WatchEvent, WatchParams};
use linkerd_failover::kinds::traffic_split;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use steady::{Asked, Figures, webhook_ca};
use test_cluster::{Cluster, InstallOptions, Installation, Workload};

const PATIENCE: Duration = Duration::from_secs(60);
const FLIPS: usize = 100;
const EVERY: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    let values = vec!["namespaceMetadata.enabled=false".into()];
    let options = InstallOptions { values, ..InstallOptions::default() };
    let installation = Installation::install(&cluster, options).await?;
    installation.wait_ready(PATIENCE).await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    workload.service_with_slice("primary", 1).await?;
    workload.service_with_slice("fallback", 1).await?;
    let splits: Api<DynamicObject> =
        Api::namespaced_with(cluster.client(), "emojivoto", &traffic_split::api_resource());
    let split = json!({
        "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {"name": "split", "labels": {LABEL: "linkerd-failover"}},
        "spec": {"service": "primary", "backends": [
            {"service": "primary", "weight": 1}, {"service": "fallback", "weight": 0},
        ]},
    });
    splits.create(&PostParams::default(), &serde_json::from_value(split)?).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;

    let ca = webhook_ca(&cluster).await?;
    let asked = Arc::new(Asked::new(installation.replicas()[0].webhook_addr(), &ca)?);
    println!("one flip, {FLIPS} times, endpoint write to weights seen:");
    told("nobody asks", flips(&workload, &splits).await?);
    for (what, backends, stored) in [
        ("340 KB, new", 10_000, false),
        ("1.4 MB, new", 41_000, false),
        ("340 KB, stored", 10_000, true),
        ("1.4 MB, stored", 41_000, true),
    ] {
        let answered = Arc::new(AtomicUsize::new(0));
        let asking = tokio::spawn(ask(asked.clone(), review(backends, stored), answered.clone()));
        let began = Instant::now();
        told(what, flips(&workload, &splits).await?);
        asking.abort();
        let each = answered.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
        println!("    {each:.0} of them answered a second");
    }
    drop(installation);
    cluster.stop().await
}

const LABEL: &str = "failover.linkerd.io/controlled-by";

fn told(what: &str, times: Vec<Duration>) {
    let Figures { p50, p99, max } = Figures::of(times);
    println!("  {what:<16} p50 {p50:6.1} ms  p99 {p99:6.1} ms  max {max:6.1} ms");
}

/// Asks both webhooks in turn, whether or not they have answered.
async fn ask(asked: Arc<Asked>, review: Bytes, answered: Arc<AtomicUsize>) {
    let mut ticks = tokio::time::interval(EVERY);
    for path in ["/mutate?timeout=10s", "/validate?timeout=10s"].into_iter().cycle() {
        ticks.tick().await;
        let (asked, review, answered) = (asked.clone(), review.clone(), answered.clone());
        tokio::spawn(async move {
            if asked.once(path, review).await.is_ok() {
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

/// A review of a split with so many backends.
fn review(backends: usize, stored: bool) -> Bytes {
    let backends: Vec<_> =
        (0..backends).map(|i| json!({"service": format!("svc-{i:05}"), "weight": 1})).collect();
    let object = json!({
        "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {"name": "huge", "namespace": "emojivoto",
            "labels": {LABEL: "linkerd-failover"}},
        "spec": {"service": "primary", "backends": backends},
    });
    let old = if stored { object.clone() } else { Value::Null };
    let kind = json!({"group": "split.smi-spec.io", "version": "v1alpha2", "kind": "TrafficSplit"});
    let resource =
        json!({"group": "split.smi-spec.io", "version": "v1alpha2", "resource": "trafficsplits"});
    let operation = if stored { "UPDATE" } else { "CREATE" };
    let review = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
        "name": "huge", "namespace": "emojivoto", "operation": operation,
        "userInfo": {"username": "kubernetes-admin"},
        "object": object, "oldObject": old, "dryRun": true,
    }});
    Bytes::from(review.to_string())
}

/// How long the weights take to follow, each time the primary goes or comes.
async fn flips(workload: &Workload<'_>, splits: &Api<DynamicObject>) -> Result<Vec<Duration>> {
    let mut took = vec![];
    for i in 0..FLIPS {
        let ready = i % 2;
        let wanted = [json!(ready), json!(1 - ready)];
        let list = splits.list(&ListParams::default()).await?;
        let version = list.metadata.resource_version.unwrap_or_default();
        let mut seen = splits.watch(&WatchParams::default(), &version).await?.boxed();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let began = Instant::now();
        let waiting = async {
            while let Some(event) = seen.try_next().await? {
                let WatchEvent::Modified(split) = event else { continue };
                let backends = split.data["spec"]["backends"].as_array().context("no backends")?;
                if backends.iter().zip(&wanted).all(|(b, w)| b["weight"] == *w) {
                    return Ok(began.elapsed());
                }
            }
            anyhow::bail!("the watch ended")
        };
        let both = async { tokio::try_join!(workload.set_ready("primary", ready), waiting) };
        let ((), flip) = tokio::time::timeout(PATIENCE, both).await.context("no flip")??;
        took.push(flip);
    }
    Ok(took)
}
