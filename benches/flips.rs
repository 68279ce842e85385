//! `make bench`: what one flip, and 1,000 and 10,000 splits on one primary, take from the write of
//! the endpoint until the last weight is seen, beside a bare client that makes the same patches; and
//! the memory that 10,000 splits and 10,000 Services take.
//!
//! Both run against one cluster, in turn, round by round, so that the machine is the same. The bare
//! client is the cluster's admin, whom the API server lets pass unlooked at.
//!
//! - `BENCH_ONLY=1,1000` leaves the rest out.
//! - `BENCH_SET=webhook.enabled=false` sets a value of the chart: the API server matches the
//!   controller's writes against the webhook before it lets them pass, and the bare client's not.
//! - `BENCH_CONCURRENCY=8,16,32` measures the fan-out with each number of writes at once.

mod support;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Patch, PatchParams, PostParams, WatchParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use linkerd_failover::kinds::Edit;
use serde_json::json;
use std::time::{Duration, Instant};
use support::process::{cpu, memory};
use support::report::{Percentiles, print_rounds};
use support::{catch_up, events_written, seen, splits};
use test_cluster::{Cluster, InstallOptions, Installation, Replica, Workload};

const PATIENCE: Duration = Duration::from_secs(300);
const FLIPS: usize = 200;
/// As many writes at once as the controller makes.
const CONCURRENCY: usize = 32;

#[tokio::main]
async fn main() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    let values = std::env::var("BENCH_SET").into_iter().collect();
    let options = InstallOptions { values, replicas: 0, ..support::options() };
    let mut installation = Installation::install(&cluster, options).await?;
    if let Ok(numbers) = std::env::var("BENCH_CONCURRENCY") {
        return sweep(&cluster, &mut installation, &numbers).await;
    }
    let replica = installation.start_replica().await?;
    replica.wait_ready(PATIENCE).await?;
    println!("memory with nothing to do: {}", memory(&replica)?);
    if is_wanted("1") {
        one_flip(&cluster).await?;
    }
    if is_wanted("1000") {
        let pair = Pair::new(&cluster, "k1").await?;
        pair.grow(1_000).await?;
        pair.compare(&replica, 1_000, 6).await?;
        pair.forget().await?;
    }
    if is_wanted("10000") {
        ten_thousand(&cluster, &replica).await?;
    }
    drop(installation);
    cluster.stop().await
}

/// Whether `BENCH_ONLY` names this number of splits, or nothing.
fn is_wanted(splits: &str) -> bool {
    std::env::var("BENCH_ONLY").map_or(true, |only| only.split(',').any(|one| one == splits))
}

async fn ten_thousand(cluster: &Cluster, replica: &Replica) -> Result<()> {
    let pair = Pair::new(cluster, "k10").await?;
    services(cluster, 10_000).await?;
    pair.grow(10_000).await?;
    catch_up().await;
    println!("memory with 10,000 splits and 10,000 Services: {}", memory(replica)?);
    pair.compare(replica, 10_000, 4).await?;
    println!("memory afterwards: {}", memory(replica)?);
    // Restarted, it lists everything at once.
    replica.restart().await?;
    replica.wait_ready(PATIENCE).await?;
    catch_up().await;
    println!("memory after a restart with them: {}", memory(replica)?);
    Ok(())
}

/// The fan-out with different numbers of writes at once.
async fn sweep(cluster: &Cluster, installation: &mut Installation, numbers: &str) -> Result<()> {
    let first = installation.start_replica().await?;
    first.wait_ready(PATIENCE).await?;
    let pair = Pair::new(cluster, "k1").await?;
    pair.grow(1_000).await?;
    first.process().terminate(PATIENCE).await?;
    for number in numbers.split(',') {
        let env = [("LINKERD_FAILOVER_WRITE_CONCURRENCY", number)];
        let replica = installation.start_replica_with(&env).await?;
        replica.wait_ready(PATIENCE).await?;
        support::forget_other_replicas().await;
        println!("{number} writes at once:");
        pair.compare(&replica, 1_000, 6).await?;
        replica.process().terminate(PATIENCE).await?;
    }
    Ok(())
}

/// Two namespaces alike: one managed, one for the bare client.
struct Pair<'a> {
    ours: Workload<'a>,
    bare: Workload<'a>,
    splits: [Api<DynamicObject>; 2],
}

impl<'a> Pair<'a> {
    async fn new(cluster: &'a Cluster, name: &str) -> Result<Self> {
        let (ours, bare) = (format!("{name}-ours"), format!("{name}-bare"));
        let splits = [splits::api(cluster, &ours), splits::api(cluster, &bare)];
        let (ours, bare) =
            (Workload::new(cluster, &ours).await?, Workload::new(cluster, &bare).await?);
        for workload in [&ours, &bare] {
            workload.service_with_slice("primary", 1).await?;
            workload.service_with_slice("fallback", 1).await?;
        }
        Ok(Self { ours, bare, splits })
    }

    async fn grow(&self, count: usize) -> Result<()> {
        for (splits, managed) in self.splits.iter().zip([true, false]) {
            let created = (0..count).map(|i| create(splits, i, managed));
            stream::iter(created).buffer_unordered(CONCURRENCY).try_collect::<Vec<_>>().await?;
        }
        catch_up().await;
        Ok(())
    }

    async fn forget(&self) -> Result<()> {
        for splits in &self.splits {
            splits.delete_collection(&Default::default(), &Default::default()).await?;
        }
        catch_up().await;
        Ok(())
    }

    /// One loss or recovery, by us and by the bare client.
    async fn round(&self, ready: usize, count: usize) -> Result<[Duration; 2]> {
        let ours = measured(&self.ours, &self.splits[0], ready, count, None).await?;
        events_written(count).await;
        let bare = Some(Bare { splits: self.splits[1].clone() });
        let bare = measured(&self.bare, &self.splits[1], ready, count, bare).await?;
        events_written(count).await;
        Ok([ours, bare])
    }

    async fn compare(&self, replica: &Replica, count: usize, rounds: usize) -> Result<()> {
        let mut took = vec![];
        let before = cpu(replica)?;
        for round in 0..rounds {
            took.push(self.round(round % 2, count).await?);
        }
        let cpu = (cpu(replica)? - before) * 1e3 / (rounds * count) as f64;
        println!("{count} splits on one primary, endpoint write to last weight seen:");
        let medians = [("linkerd-failover", 0), ("bare client", 1)]
            .map(|(who, i)| print_rounds(who, took.iter().map(|round| round[i])));
        println!("  ratio of the medians {:.2}", medians[0] / medians[1]);
        println!("  CPU of linkerd-failover, Events included: {cpu:.2} ms a split");
        Ok(())
    }
}

/// One split: the endpoint goes and comes, the weights follow.
async fn one_flip(cluster: &Cluster) -> Result<()> {
    let pair = Pair::new(cluster, "one").await?;
    pair.grow(1).await?;
    let mut took = vec![];
    for i in 0..FLIPS {
        took.push(pair.round(i % 2, 1).await?);
    }
    println!("one flip, {FLIPS} times, endpoint write to weights seen:");
    for (who, i) in [("linkerd-failover", 0), ("bare client", 1)] {
        Percentiles::of(took.iter().map(|round| round[i]).collect()).print(who);
    }
    Ok(())
}

/// Services that nobody asks about.
async fn services(cluster: &Cluster, count: usize) -> Result<()> {
    let workload = Workload::new(cluster, "crowd").await?;
    let api: Api<Service> = workload.api();
    let created = (0..count).map(|i| {
        let service = json!({"metadata": {"name": format!("service-{i}")},
            "spec": {"clusterIP": "None", "ports": [{"name": "grpc", "port": 8080}]}});
        let api = api.clone();
        async move {
            api.create(&PostParams::default(), &serde_json::from_value(service)?).await?;
            Ok::<_, anyhow::Error>(())
        }
    });
    stream::iter(created).buffer_unordered(CONCURRENCY).try_collect::<Vec<_>>().await?;
    Ok(())
}

/// A client that does nothing but watch the slices and patch.
struct Bare {
    splits: Api<DynamicObject>,
}

impl Bare {
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
            for (i, weight) in weights.iter().enumerate() {
                edit.weight(
                    &linkerd_failover::engine::FieldPath::from("spec.backends").index(i),
                    *weight,
                );
            }
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
    let wanted = splits::wanted(ready);
    let list = splits.list(&Default::default()).await?;
    let version = list.metadata.resource_version.clone().unwrap_or_default();
    let seen = seen::watch(splits).await?;
    let slices: Api<EndpointSlice> = workload.api();
    let of_primary = WatchParams::default().fields("metadata.name=primary");
    let events = slices.watch(&of_primary, &version).await?.boxed();
    let events = events.filter_map(|e| std::future::ready(e.is_ok().then_some(())));
    let reacting = async {
        match bare {
            Some(bare) => bare.react(events, list.items, wanted).await,
            None => Ok(()),
        }
    };
    seen::warm_up(splits).await?;
    let began = Instant::now();
    let has_flipped = |split: &_| splits::has_weights(split, wanted);
    let waiting = seen::until(splits, seen, count, has_flipped, began);
    let all = async { tokio::try_join!(workload.set_ready("primary", ready), reacting, waiting) };
    let ((), (), took) = tokio::time::timeout(PATIENCE, all).await.context("not all flipped")??;
    Ok(took)
}

async fn create(splits: &Api<DynamicObject>, i: usize, managed: bool) -> Result<()> {
    let mut split = splits::split(&format!("split-{i}"), "primary", ["primary", "fallback"]);
    if !managed {
        split["metadata"]["labels"] = json!({});
    }
    splits::create(splits, split).await
}
