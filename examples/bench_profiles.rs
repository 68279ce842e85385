//! `make bench-profiles`: what 1,000 splits on one primary, each with an apex of its own, take from
//! the write of the endpoint until another client's watch has seen the last ServiceProfile, beside the
//! same splits where no profiles are written, and beside what the linkerd-smi adaptor takes by its
//! limits.
//!
//! `BENCH_SPLITS=100` takes so many. `BENCH_ROUNDS=4` loses and regains the primary so often.

use anyhow::{Context, Result, ensure};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Service;
use kube::api::{ListParams, PostParams, WatchEvent, WatchParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use linkerd_failover::kinds::{service_profile, traffic_split};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use test_cluster::{Cluster, InstallOptions, Installation, Replica, Workload};

const PATIENCE: Duration = Duration::from_secs(300);
const NAMESPACE: &str = "profiles";
/// Objects that are made at once, while nothing is measured.
const AT_ONCE: usize = 32;

/// The adaptor's client: client-go's defaults. It reads and writes the profile of each split.
const ADAPTOR_BURST: usize = 10;
const ADAPTOR_CALLS_A_SECOND: f64 = 5.0;
const ADAPTOR_CALLS: usize = 2;

/// What the chart gives with `serviceProfiles.manage`. Given apart from it, so that the same
/// installation runs once with profiles and once without.
const RIGHTS: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: bench-profiles}
rules:
- {apiGroups: [linkerd.io], resources: [serviceprofiles], verbs: [get, list, watch, create, patch, delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: bench-profiles}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: bench-profiles}
subjects: [{kind: ServiceAccount, name: linkerd-failover, namespace: linkerd-failover}]
"#;

#[tokio::main]
async fn main() -> Result<()> {
    let (count, rounds) = (number("BENCH_SPLITS", 1_000)?, number("BENCH_ROUNDS", 6)?);
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    cluster.install_service_profile_crd().await?;
    cluster.apply(RIGHTS).await?;
    let options = InstallOptions {
        replicas: 0,
        binary: std::env::var_os("LINKERD_FAILOVER_BIN")
            .map_or_else(Installation::built_binary, PathBuf::from),
        ..InstallOptions::default()
    };
    let mut installation = Installation::install(&cluster, options).await?;
    let replica = installation.start_replica().await?;
    replica.wait_ready(PATIENCE).await?;
    let bench = Bench::grow(&cluster, count).await?;

    let plain = bench.rounds(&replica, rounds, false).await?;
    replica.process().terminate(PATIENCE).await?;
    let writes = [("LINKERD_FAILOVER_MANAGE_SERVICE_PROFILES", "true")];
    let began = Instant::now();
    let replica = installation.start_replica_with(&writes).await?;
    replica.wait_ready(PATIENCE).await?;
    bench.wait_profiles().await?;
    println!(
        "{count} profiles made by a replica that starts: {:.2} s",
        began.elapsed().as_secs_f64()
    );
    // Another replica's moves are reversed only after a LIST, while they are fresh.
    tokio::time::sleep(Duration::from_secs(62)).await;
    let written = bench.rounds(&replica, rounds, true).await?;

    println!("{count} splits on one primary, endpoint write until another client has seen");
    told("the last split, profiles not written", plain.iter().map(|seen| seen.split));
    told("the last split, profiles written", written.iter().map(|seen| seen.split));
    told("the last ServiceProfile", written.iter().filter_map(|seen| seen.profile));
    let calls = (ADAPTOR_CALLS * count).saturating_sub(ADAPTOR_BURST);
    let adaptor = calls as f64 / ADAPTOR_CALLS_A_SECOND;
    println!("  the last ServiceProfile by the linkerd-smi adaptor, computed: {adaptor:.0} s");
    let metrics = replica.get("/metrics").await?;
    for line in metrics.lines().filter(|line| line.contains("writes_total{")) {
        println!("  {line}");
    }
    drop(installation);
    cluster.stop().await
}

fn number(variable: &str, default: usize) -> Result<usize> {
    let text = std::env::var(variable).unwrap_or_else(|_| default.to_string());
    text.parse().with_context(|| format!("{variable}: found {text:?}, expected a number"))
}

/// When another client had seen everything.
struct Seen {
    split: Duration,
    profile: Option<Duration>,
}

struct Bench<'a> {
    workload: Workload<'a>,
    splits: Api<DynamicObject>,
    profiles: Api<DynamicObject>,
    count: usize,
}

impl<'a> Bench<'a> {
    async fn grow(cluster: &'a Cluster, count: usize) -> Result<Self> {
        let workload = Workload::new(cluster, NAMESPACE).await?;
        for service in ["primary", "fallback"] {
            workload.service_with_slice(service, 1).await?;
        }
        let api = |resource| Api::namespaced_with(cluster.client(), NAMESPACE, &resource);
        let splits = api(traffic_split::api_resource());
        let profiles = api(service_profile::api_resource());
        let bench = Self { workload, splits, profiles, count };
        let made = (0..count).map(|i| bench.make(i));
        stream::iter(made).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok(bench)
    }

    /// An apex and its split.
    async fn make(&self, i: usize) -> Result<()> {
        let services: Api<Service> = self.workload.api();
        let apex = json!({"metadata": {"name": format!("apex-{i}")},
            "spec": {"clusterIP": "None", "ports": [{"name": "grpc", "port": 8080}]}});
        services.create(&PostParams::default(), &serde_json::from_value(apex)?).await?;
        let split = json!({
            "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
            "metadata": {"name": format!("split-{i}"),
                "labels": {"failover.linkerd.io/controlled-by": "linkerd-failover"}},
            "spec": {"service": format!("apex-{i}"), "backends": [
                {"service": "primary", "weight": 1}, {"service": "fallback", "weight": 0},
            ]},
        });
        self.splits.create(&PostParams::default(), &serde_json::from_value(split)?).await?;
        Ok(())
    }

    async fn wait_profiles(&self) -> Result<()> {
        test_cluster::eventually("every split has a profile", PATIENCE, || async {
            let there = self.profiles.list(&ListParams::default()).await?.items.len();
            ensure!(there == self.count, "{there}");
            Ok(())
        })
        .await
    }

    async fn rounds(&self, replica: &Replica, rounds: usize, profiles: bool) -> Result<Vec<Seen>> {
        let mut seen = vec![];
        let before = cpu(replica)?;
        for round in 0..rounds {
            seen.push(self.round(round % 2, profiles).await?);
            // Events are told after the writes; they are not part of the figure.
            tokio::time::sleep(Duration::from_millis(5 + 8 * self.count as u64)).await;
        }
        let cpu = (cpu(replica)? - before) * 1e3 / (rounds * self.count) as f64;
        let what = if profiles { "with" } else { "without" };
        println!("CPU {what} profiles, Events included: {cpu:.2} ms a split");
        Ok(seen)
    }

    /// One loss or recovery.
    async fn round(&self, ready: usize, profiles: bool) -> Result<Seen> {
        let wanted = [u32::from(ready == 1), u32::from(ready == 0)];
        let split = |split: &DynamicObject| {
            let weight = |i: usize| split.data["spec"]["backends"][i]["weight"] == json!(wanted[i]);
            weight(0) && weight(1)
        };
        let profile = |profile: &DynamicObject| {
            let weight = |i: usize| &profile.data["spec"]["dstOverrides"][i]["weight"];
            *weight(0) == Value::String(wanted[0].to_string())
                && *weight(1) == Value::String(wanted[1].to_string())
        };
        let splits = watched(&self.splits).await?;
        let overrides = watched(&self.profiles).await?;
        // Neither watches that the API server is still setting up nor a TLS handshake are measured.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let one = ListParams::default().limit(1);
        tokio::try_join!(self.splits.list(&one), self.splits.list(&one))?;
        let began = Instant::now();
        let all = async {
            tokio::try_join!(
                self.workload.set_ready("primary", ready),
                until(&self.splits, splits, self.count, split, began),
                async {
                    if !profiles {
                        return Ok(None);
                    }
                    until(&self.profiles, overrides, self.count, profile, began).await.map(Some)
                },
            )
        };
        let ((), split, profile) =
            tokio::time::timeout(PATIENCE, all).await.context("not all were seen")??;
        Ok(Seen { split, profile })
    }
}

type Events = std::pin::Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<DynamicObject>>> + Send>>;

/// A watch of what comes from now on.
async fn watched(api: &Api<DynamicObject>) -> Result<Events> {
    let list = api.list(&ListParams::default().limit(1)).await?;
    let version = list.metadata.resource_version.unwrap_or_default();
    Ok(api.watch(&WatchParams::default(), &version).await?.boxed())
}

/// How long it takes until so many objects have been seen as they should be.
async fn until(
    api: &Api<DynamicObject>,
    mut events: Events,
    count: usize,
    is_right: impl Fn(&DynamicObject) -> bool,
    began: Instant,
) -> Result<Duration> {
    let mut done = HashSet::new();
    while done.len() < count {
        let changed = match events.try_next().await? {
            Some(WatchEvent::Modified(object) | WatchEvent::Added(object)) => vec![object],
            Some(_) => vec![],
            // The API server cuts off a watcher that falls behind: look, and go on from there.
            None => {
                let list = api.list(&ListParams::default()).await?;
                let version = list.metadata.resource_version.clone().unwrap_or_default();
                events = api.watch(&WatchParams::default(), &version).await?.boxed();
                list.items
            }
        };
        done.extend(changed.iter().filter(|object| is_right(object)).map(ResourceExt::name_any));
    }
    Ok(began.elapsed())
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

fn told(what: &str, took: impl Iterator<Item = Duration>) {
    let mut times: Vec<f64> = took.map(|took| took.as_secs_f64()).collect();
    let listed: Vec<_> = times.iter().map(|t| format!("{t:.2}")).collect();
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or(f64::NAN);
    let lower = times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN);
    println!("  {what}: median {:.2} s of {}", (median + lower) / 2.0, listed.join(" "));
}
