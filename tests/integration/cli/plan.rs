//! `plan`, and what the controller writes once that has happened.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use linkerd_failover::kinds::Kind;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use test_cluster::Cluster;

const NAMES: [&str; 4] =
    ["trafficsplit/emoji", "trafficsplit/tiers", "trafficsplit/warm", "httproute/emoji"];

/// By backend.
type Weights = BTreeMap<String, u64>;

/// The weights that an object would have, by the table of `plan`.
async fn planned(cluster: &Cluster, name: &str, flags: &str) -> Result<Weights> {
    let text = cluster.sh(&format!("{PROGRAM} plan {name} -n emojivoto {flags}")).ok().await?;
    let lines = text.lines().filter(|line| line.starts_with("  emoji-svc"));
    let cells = |line: &str| -> Option<(String, u64)> {
        let mut cells = line.split("   ").map(str::trim).filter(|cell| !cell.is_empty());
        let (backend, weight) = (cells.next()?, cells.next()?);
        Some((backend.to_owned(), weight.rsplit(' ').next()?.parse().ok()?))
    };
    lines.map(|line| cells(line).with_context(|| text.clone())).collect()
}

async fn all_planned(cluster: &Cluster, flags: &str) -> Result<Vec<Weights>> {
    let mut all = vec![];
    for name in NAMES {
        let weights = planned(cluster, name, flags).await?;
        ensure!(weights.values().any(|weight| *weight > 0), "{name} {flags}: {weights:?}");
        all.push(weights);
    }
    Ok(all)
}

/// The weights that an object has.
async fn written(cluster: &Cluster, name: &str) -> Result<Weights> {
    let text = cluster.kubectl(["get", name, "-n", "emojivoto", "-o", "json"]).ok().await?;
    let object: Value = serde_json::from_str(&text)?;
    let spec = &object["spec"];
    let backends =
        spec["backends"].as_array().or_else(|| spec["rules"][0]["backendRefs"].as_array());
    let weight = |backend: &Value| -> Option<(String, u64)> {
        let name = backend["service"].as_str().or_else(|| backend["name"].as_str())?;
        Some((name.to_owned(), backend["weight"].as_u64()?))
    };
    backends.into_iter().flatten().map(|b| weight(b).with_context(|| text.clone())).collect()
}

async fn all_written(cluster: &Cluster) -> Result<Vec<Weights>> {
    let mut all = vec![];
    for name in NAMES {
        all.push(written(cluster, name).await?);
    }
    Ok(all)
}

/// Waits until no move is due any more.
async fn wait(cluster: &Cluster, goal: &str) -> Result<()> {
    let names = NAMES.join(" ");
    let line = format!("status {names} -n emojivoto --wait-for {goal} --timeout 60s");
    cluster.sh(&format!("{PROGRAM} {line}")).ok().await.map(drop)
}

fn split(name: &str, weights: [u32; 3], annotation: (&str, &str)) -> String {
    let backends = ["emoji-svc", "emoji-svc-west", "emoji-svc-north"].into_iter().zip(weights);
    let backends = backends.map(|(name, weight)| json!({"service": name, "weight": weight}));
    json!({"apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {"name": name, "namespace": "emojivoto",
            "annotations": {format!("failover.linkerd.io/{}", annotation.0): annotation.1},
            "labels": {"failover.linkerd.io/controlled-by": "linkerd-failover"}},
        "spec": {"service": "emoji-svc", "backends": backends.collect::<Vec<_>>()}})
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planned_is_what_the_controller_writes_once_it_happens() -> Result<()> {
    let cluster = cluster().await?;
    cluster.install_gateway_api_crds().await?;
    let _installation = install(&cluster, 1, &[]).await?;
    wait_route_webhook(&cluster).await?;
    let (workload, _west, _splits) = emojivoto_with_split(&cluster).await?;
    let north = workload.mirror("emoji-svc", "north").await?;
    let order = ("fallback-order", "emoji-svc-north,emoji-svc-west");
    workload.apply(&split("tiers", [5, 3, 2], order)).await?;
    workload.apply(&split("warm", [4, 0, 0], ("warm-standby", "true"))).await?;
    let both: &[&str] = &["emoji-svc", "emoji-svc-west"];
    workload.apply(&route(Kind::HttpRoute, &[("", both)]).to_string()).await?;
    wait(&cluster, "primary").await?;

    // Nothing of what is planned is written.
    let before = all_written(&cluster).await?;
    let lost = all_planned(&cluster, "--down emoji-svc").await?;
    assert_ne!(lost, before);
    assert_eq!(all_written(&cluster).await?, before);
    workload.scale("emoji", 0).await?;
    wait(&cluster, "fallback").await?;
    assert_eq!(all_written(&cluster).await?, lost);

    // The next fallback, as that of the first is lost too.
    let flags = "--down emoji-svc-north";
    let (tiers, warm) =
        (planned(&cluster, NAMES[1], flags).await?, planned(&cluster, NAMES[2], flags).await?);
    assert_ne!(tiers, lost[1]);
    north.set_empty().await?;
    wait_weights(&splits(&cluster, "emojivoto"), "tiers", &[0.0, 3.0, 0.0]).await?;
    wait(&cluster, "settled").await?;
    let written = all_written(&cluster).await?;
    assert_eq!((&written[1], &written[2]), (&tiers, &warm));

    // And back.
    let back = all_planned(&cluster, "--ready emoji-svc=1").await?;
    workload.scale("emoji", 1).await?;
    wait(&cluster, "primary").await?;
    assert_eq!(all_written(&cluster).await?, back);
    Ok(())
}
