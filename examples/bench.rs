//! `make bench`: what one flip, and 1,000 and 10,000 splits on one primary, take from the write of
//! the endpoint until the last weight is seen, beside a bare client that makes the same patches; and
//! the memory that 10,000 splits and 10,000 Services take.
//!
//! Both run in one process against one cluster, in turn, round by round, so that the machine is the
//! same. The bare client is the cluster's admin, whom the API server lets pass unlooked at. `BENCH_ONLY=1,1000` leaves the rest out, and `BENCH_SET=webhook.enabled=false` sets a value of
//! the chart: the API server matches the controller's writes against the webhook, before it lets them
//! pass, and the bare client's not. `BENCH_CONCURRENCY=8,16,32` measures the fan-out with each number of writes at once.

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Service;
use kube::api::{ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use linkerd_failover::kinds::{Edit, traffic_split};
use serde_json::json;
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};
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
    let options = InstallOptions {
        values,
        replicas: 0,
        binary: std::env::var_os("LINKERD_FAILOVER_BIN")
            .map_or_else(Installation::built_binary, PathBuf::from),
        ..InstallOptions::default()
    };
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
    settle().await;
    println!("memory with 10,000 splits and 10,000 Services: {}", memory(replica)?);
    pair.compare(replica, 10_000, 4).await?;
    println!("memory afterwards: {}", memory(replica)?);
    // Begun anew, it lists everything at once.
    replica.restart().await?;
    replica.wait_ready(PATIENCE).await?;
    settle().await;
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
        // Another replica's moves are reversed only after a LIST, while they are fresh.
        tokio::time::sleep(Duration::from_secs(62)).await;
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
        let splits = [splits(cluster, &ours), splits(cluster, &bare)];
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
        settle().await;
        Ok(())
    }

    async fn forget(&self) -> Result<()> {
        for splits in &self.splits {
            splits.delete_collection(&Default::default(), &Default::default()).await?;
        }
        settle().await;
        Ok(())
    }

    /// One loss or recovery, by us and by the bare client.
    async fn round(&self, ready: usize, count: usize) -> Result<[Duration; 2]> {
        let ours = measured(&self.ours, &self.splits[0], ready, count, None).await?;
        quiet(count).await;
        let bare = Some(Bare { splits: self.splits[1].clone() });
        let bare = measured(&self.bare, &self.splits[1], ready, count, bare).await?;
        quiet(count).await;
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
        let mut medians = vec![];
        for (who, i) in [("linkerd-failover", 0), ("bare client", 1)] {
            let mut times: Vec<f64> = took.iter().map(|t| t[i].as_secs_f64()).collect();
            let listed: Vec<_> = times.iter().map(|t| format!("{t:.2}")).collect();
            times.sort_by(f64::total_cmp);
            medians.push((times[(rounds - 1) / 2] + times[rounds / 2]) / 2.0);
            println!("  {who:<17} median {:.2} s of {}", medians[i], listed.join(" "));
        }
        println!("  ratio of the medians {:.2}", medians[0] / medians[1]);
        println!("  CPU of linkerd-failover, Events included: {cpu:.2} ms a split");
        Ok(())
    }
}

/// Events are told after the writes; they are not part of either figure.
async fn quiet(count: usize) {
    tokio::time::sleep(Duration::from_millis(5 + 8 * count.min(10_000) as u64)).await;
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
        let mut times: Vec<Duration> = took.iter().map(|t| t[i]).collect();
        times.sort_unstable();
        println!(
            "  {who:<17} p50 {:6.1} ms  p99 {:6.1} ms  max {:6.1} ms",
            ms(times[FLIPS / 2]),
            ms(times[FLIPS * 99 / 100]),
            ms(times[FLIPS - 1])
        );
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

/// What the process holds, and has held at most.
fn memory(replica: &Replica) -> Result<String> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", replica.process().pid()))?;
    let of = |field: &str| -> Result<f64> {
        let line = status.lines().find(|line| line.starts_with(field)).context("no such field")?;
        let kib = line.split_whitespace().nth(1).context("no number")?;
        Ok(kib.parse::<f64>()? / 1024.0)
    };
    Ok(format!(
        "{:.1} MiB resident ({:.1} of its own), {:.1} MiB at most",
        of("VmRSS:")?,
        of("RssAnon:")?,
        of("VmHWM:")?
    ))
}

/// Seconds of CPU that the process has used.
fn cpu(replica: &Replica) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", replica.process().pid()))?;
    let (_, fields) = stat.rsplit_once(") ").context("no such field")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    // USER_HZ is 100 on every Linux that Rust runs on.
    Ok(ticks / 100.0)
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

async fn create(splits: &Api<DynamicObject>, i: usize, managed: bool) -> Result<()> {
    let labels = match managed {
        true => json!({"failover.linkerd.io/controlled-by": "linkerd-failover"}),
        false => json!({}),
    };
    let split = serde_json::from_value(json!({
        "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {"name": format!("split-{i}"), "labels": labels},
        "spec": {"service": "primary", "backends": [
            {"service": "primary", "weight": 1}, {"service": "fallback", "weight": 0},
        ]},
    }))?;
    splits.create(&PostParams::default(), &split).await?;
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
