//! `make bench-profiles`: what 1,000 splits on one primary, each with an apex of its own, take from
//! the write of the endpoint until another client's watch has seen the last ServiceProfile, beside the
//! same splits where no profiles are written, and beside what the linkerd-smi adaptor takes by its
//! limits.
//!
//! `BENCH_SPLITS=100` takes so many. `BENCH_ROUNDS=4` loses and regains the primary so often.

mod support;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::{ListParams, PostParams};
use kube::core::DynamicObject;
use linkerd_failover::kinds::service_profile;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::process::cpu;
use support::report::print_rounds;
use support::splits::{self, AT_ONCE};
use support::{events_written, seen};
use test_cluster::{Cluster, InstallOptions, Installation, Replica, Workload};

const PATIENCE: Duration = Duration::from_secs(300);
const NAMESPACE: &str = "profiles";

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
    let options = InstallOptions { replicas: 0, ..support::options() };
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
    support::forget_other_replicas().await;
    let written = bench.rounds(&replica, rounds, true).await?;

    println!("{count} splits on one primary, endpoint write until another client has seen");
    print_rounds("the last split, profiles not written", plain.iter().map(|seen| seen.split));
    print_rounds("the last split, profiles written", written.iter().map(|seen| seen.split));
    print_rounds("the last ServiceProfile", written.iter().filter_map(|seen| seen.profile));
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
        let splits = splits::api(cluster, NAMESPACE);
        let profiles = service_profile::api_resource();
        let profiles = Api::namespaced_with(cluster.client(), NAMESPACE, &profiles);
        let bench = Self { workload, splits, profiles, count };
        let made = (0..count).map(|i| bench.make(i));
        stream::iter(made).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
        support::catch_up().await;
        Ok(bench)
    }

    /// An apex and its split.
    async fn make(&self, i: usize) -> Result<()> {
        let services: Api<Service> = self.workload.api();
        let apex = json!({"metadata": {"name": format!("apex-{i}")},
            "spec": {"clusterIP": "None", "ports": [{"name": "grpc", "port": 8080}]}});
        services.create(&PostParams::default(), &serde_json::from_value(apex)?).await?;
        let backends = ["primary", "fallback"];
        let split = splits::split(&format!("split-{i}"), &format!("apex-{i}"), backends);
        splits::create(&self.splits, split).await?;
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
            events_written(self.count).await;
        }
        let cpu = (cpu(replica)? - before) * 1e3 / (rounds * self.count) as f64;
        let what = if profiles { "with" } else { "without" };
        println!("CPU {what} profiles, Events included: {cpu:.2} ms a split");
        Ok(seen)
    }

    /// One loss or recovery.
    async fn round(&self, ready: usize, profiles: bool) -> Result<Seen> {
        let wanted = splits::wanted(ready);
        let split = |split: &DynamicObject| splits::has_weights(split, wanted);
        let profile = |profile: &DynamicObject| {
            let weight = |i: usize| &profile.data["spec"]["dstOverrides"][i]["weight"];
            *weight(0) == Value::String(wanted[0].to_string())
                && *weight(1) == Value::String(wanted[1].to_string())
        };
        let splits = seen::watch(&self.splits).await?;
        let overrides = seen::watch(&self.profiles).await?;
        seen::warm_up(&self.splits).await?;
        let began = Instant::now();
        let all = async {
            tokio::try_join!(
                self.workload.set_ready("primary", ready),
                seen::until(&self.splits, splits, self.count, split, began),
                async {
                    if !profiles {
                        return Ok(None);
                    }
                    seen::until(&self.profiles, overrides, self.count, profile, began)
                        .await
                        .map(Some)
                },
            )
        };
        let ((), split, profile) =
            tokio::time::timeout(PATIENCE, all).await.context("not all were seen")??;
        Ok(Seen { split, profile })
    }
}
