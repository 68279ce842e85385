//! `make bench`: what one flip, and 1,000 splits on one primary, take from the write of the
//! endpoint until the last weight is seen, beside a bare client that makes the same patches.
//!
//! Both run in one process against one cluster, in turn, so that the machine is the same.

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use linkerd_failover::resources::traffic_split::{self, Edit};
use serde_json::json;
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use test_cluster::{Cluster, InstallOptions, Installation, Workload};

const PATIENCE: Duration = Duration::from_secs(120);
const FLIPS: usize = 100;
const FAN_OUT: usize = 1_000;
const ROUNDS: usize = 3;
/// As many writes at once as the controller makes.
const CONCURRENCY: usize = 32;

#[tokio::main]
async fn main() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    let options = InstallOptions {
        values: vec!["namespaceMetadata.enabled=false".into()],
        binary: std::env::var_os("LINKERD_FAILOVER_BIN")
            .map_or_else(Installation::built_binary, PathBuf::from),
        ..InstallOptions::default()
    };
    let installation = Installation::install(&cluster, options).await?;
    installation.wait_ready(PATIENCE).await?;

    one_flip(&cluster).await?;
    fan_out(&cluster).await?;
    drop(installation);
    cluster.stop().await
}

/// One split: the endpoint goes and comes, the weights follow.
async fn one_flip(cluster: &Cluster) -> Result<()> {
    let workload = Workload::new(cluster, "one").await?;
    workload.service_with_slice("primary", 1).await?;
    workload.service_with_slice("fallback", 1).await?;
    let splits = splits(cluster, "one");
    create(&splits, "one", 0).await?;
    settle().await;

    let mut ours = vec![];
    for i in 0..FLIPS {
        ours.push(measured(&workload, &splits, i % 2, 1, None).await?);
    }
    // Not managed any more: the bare client is alone with it.
    unmanage(&workload).await?;
    let mut bare = vec![];
    for i in 0..FLIPS {
        bare.push(measured(&workload, &splits, i % 2, 1, Some(Bare::new(&splits))).await?);
    }
    println!("one flip, {FLIPS} times, endpoint write to weights seen:");
    for (who, mut took) in [("linkerd-failover", ours), ("bare client", bare)] {
        took.sort_unstable();
        println!(
            "  {who:<17} p50 {:6.1} ms  p99 {:6.1} ms  max {:6.1} ms",
            ms(took[FLIPS / 2]),
            ms(took[FLIPS * 99 / 100]),
            ms(took[FLIPS - 1])
        );
    }
    Ok(())
}

/// Many splits on one primary.
async fn fan_out(cluster: &Cluster) -> Result<()> {
    let workload = Workload::new(cluster, "many").await?;
    workload.service_with_slice("primary", 1).await?;
    workload.service_with_slice("fallback", 1).await?;
    let splits = splits(cluster, "many");
    let created =
        stream::iter(0..FAN_OUT).map(|i| create(&splits, "split", i)).buffer_unordered(CONCURRENCY);
    created.try_collect::<Vec<_>>().await?;
    settle().await;

    let mut ours = vec![];
    for i in 0..2 * ROUNDS {
        ours.push(measured(&workload, &splits, i % 2, FAN_OUT, None).await?);
        // Events are told after the writes; they are not part of either figure.
        tokio::time::sleep(Duration::from_secs(8)).await;
    }
    unmanage(&workload).await?;
    let mut bare = vec![];
    for i in 0..2 * ROUNDS {
        bare.push(measured(&workload, &splits, i % 2, FAN_OUT, Some(Bare::new(&splits))).await?);
        tokio::time::sleep(Duration::from_secs(8)).await;
    }
    println!("{FAN_OUT} splits on one primary, endpoint write to last weight seen:");
    for (who, took) in [("linkerd-failover", ours), ("bare client", bare)] {
        let rounds: Vec<String> =
            took.iter().map(|t| format!("{:.2} s", t.as_secs_f64())).collect();
        println!("  {who:<17} {}", rounds.join("  "));
    }
    Ok(())
}

/// A client that does nothing but watch the slices and patch.
struct Bare {
    splits: Api<DynamicObject>,
}

impl Bare {
    fn new(splits: &Api<DynamicObject>) -> Self {
        Self { splits: splits.clone() }
    }

    /// Waits for the slice, then patches every split at the version it holds.
    async fn react(
        &self,
        slices: impl futures::Stream<Item = ()> + Unpin,
        objects: Vec<DynamicObject>,
        weights: [u32; 2],
    ) -> Result<()> {
        let mut slices = slices;
        slices.next().await;
        let params = PatchParams::default();
        let patches = objects.into_iter().map(|object| {
            let mut edit = Edit::guarded_by(&object.resource_version().unwrap_or_default());
            edit.weights(&weights);
            // As long as the state that the controller writes along.
            let state = "x".repeat(260);
            edit.annotations(
                object.metadata.annotations.is_some(),
                &[("example.com/state", state)],
            );
            let (splits, params) = (&self.splits, &params);
            async move {
                let patch = Patch::<()>::Json(edit.into_patch());
                splits.patch(&object.name_any(), params, &patch).await
            }
        });
        stream::iter(patches).buffer_unordered(CONCURRENCY).try_collect::<Vec<_>>().await?;
        Ok(())
    }
}

/// Writes the primary's slice, and waits until all splits have the weights that follow.
async fn measured(
    workload: &Workload<'_>,
    splits: &Api<DynamicObject>,
    ready: usize,
    count: usize,
    bare: Option<Bare>,
) -> Result<Duration> {
    let wanted = [u32::from(ready == 1), u32::from(ready == 0)];
    let list = splits.list(&Default::default()).await?;
    let version = list.metadata.resource_version.clone().unwrap_or_default();
    let mut seen = splits.watch(&WatchParams::default(), &version).await?.boxed();
    let slices: Api<k8s_openapi::api::discovery::v1::EndpointSlice> = workload.api();
    let of_primary = WatchParams::default().fields("metadata.name=primary");
    let events = slices.watch(&of_primary, &version).await?.boxed();
    let events = events.filter_map(|e| std::future::ready(e.is_ok().then_some(())));
    let reacting = async {
        match bare {
            Some(bare) => bare.react(events, list.items, wanted).await,
            None => Ok(()),
        }
    };
    // Neither watches that the API server is still setting up nor a TLS handshake are to be
    // measured: a watch takes a connection for itself, so two idle ones are made for what follows.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let one = ListParams::default().limit(1);
    tokio::try_join!(splits.list(&one), splits.list(&one))?;
    let began = Instant::now();
    let waiting = async {
        let mut done = HashSet::new();
        while done.len() < count {
            let changed = match seen.try_next().await? {
                Some(WatchEvent::Modified(split)) => vec![split],
                Some(_) => vec![],
                // The API server cuts off a watcher that falls behind: look, and go on from there.
                None => {
                    let list = splits.list(&ListParams::default()).await?;
                    let version = list.metadata.resource_version.clone().unwrap_or_default();
                    seen = splits.watch(&WatchParams::default(), &version).await?.boxed();
                    list.items
                }
            };
            for split in changed {
                let backends = split.data["spec"]["backends"].as_array().context("no backends")?;
                if backends.iter().zip(wanted).all(|(b, w)| b["weight"] == json!(w)) {
                    done.insert(split.name_any());
                }
            }
        }
        Ok::<_, anyhow::Error>(began.elapsed())
    };
    let all = async { tokio::try_join!(workload.set_ready("primary", ready), reacting, waiting) };
    let ((), (), took) = tokio::time::timeout(PATIENCE, all).await.context("not all flipped")??;
    Ok(took)
}

async fn create(splits: &Api<DynamicObject>, name: &str, i: usize) -> Result<()> {
    let split = serde_json::from_value(json!({
        "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {
            "name": format!("{name}-{i}"),
            "labels": {"failover.linkerd.io/controlled-by": "linkerd-failover"},
        },
        "spec": {"service": "primary", "backends": [
            {"service": "primary", "weight": 1}, {"service": "fallback", "weight": 0},
        ]},
    }))?;
    splits.create(&PostParams::default(), &split).await?;
    Ok(())
}

async fn unmanage(workload: &Workload<'_>) -> Result<()> {
    let label = "failover.linkerd.io/controlled-by-";
    let output = workload.kubectl(["label", "trafficsplits", "--all", label]).output().await?;
    ensure!(output.status.success(), "{}", output.stderr);
    settle().await;
    Ok(())
}

/// Lets watches and Events catch up between measurements.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(5)).await;
}

fn splits(cluster: &Cluster, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(cluster.client(), namespace, &traffic_split::api_resource())
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}
