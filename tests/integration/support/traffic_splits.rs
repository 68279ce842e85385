//! TrafficSplits: their manifests, and what is read of them.

use super::*;
use anyhow::Result;
use kube::api::Api;
use kube::core::DynamicObject;
use linkerd_failover::engine::State;
use linkerd_failover::kinds::traffic_split;
use serde_json::Value;
use test_cluster::{Cluster, Mirror, Workload, eventually};

/// Emojivoto: `emoji-svc` with one kwok pod, and its mirror from the cluster west.
pub(crate) async fn emojivoto(cluster: &Cluster) -> Result<(Workload<'_>, Mirror)> {
    let workload = Workload::new(cluster, "emojivoto").await?;
    workload.deploy_emoji(1).await?;
    let west = workload.mirror("emoji-svc", "west").await?;
    Ok((workload, west))
}

/// The same with the split `emoji`, whose traffic is on its primary.
pub(crate) async fn emojivoto_with_split(
    cluster: &Cluster,
) -> Result<(Workload<'_>, Mirror, Api<DynamicObject>)> {
    let (workload, west) = emojivoto(cluster).await?;
    workload.apply(&emoji()).await?;
    let splits = splits(cluster, "emojivoto");
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    Ok((workload, west, splits))
}

/// A managed split, with the apex as first backend.
pub(crate) fn manifest(name: &str, apex: &str, fallbacks: &[&str]) -> String {
    let mut text = format!(
        "apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata:
  name: {name}
  namespace: emojivoto
  labels:
    failover.linkerd.io/controlled-by: linkerd-failover
spec:
  service: {apex}
  backends:
  - service: {apex}
    weight: 1
"
    );
    for fallback in fallbacks {
        text.push_str(&format!("  - service: {fallback}\n    weight: 0\n"));
    }
    text
}

pub(crate) fn emoji() -> String {
    manifest("emoji", "emoji-svc", &["emoji-svc-west"])
}

pub(crate) fn named(name: &str) -> String {
    emoji().replace("name: emoji\n", &format!("name: {name}\n"))
}

/// The splits of a namespace.
pub(crate) fn splits(cluster: &Cluster, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(cluster.client(), namespace, &traffic_split::api_resource())
}

/// The weights of a split, in the author's order.
pub(crate) fn weights(split: &DynamicObject) -> Vec<f64> {
    let backends = split.data["spec"]["backends"].as_array().cloned().unwrap_or_default();
    backends.iter().map(|b| b["weight"].as_f64().unwrap_or(f64::NAN)).collect()
}

/// The state that a split carries.
pub(crate) fn state(split: &DynamicObject) -> Option<State> {
    traffic_split::read(split).state().cloned()
}

/// The JSON of an annotation.
pub(crate) fn annotation(split: &DynamicObject, name: &str) -> Option<Value> {
    let text = split.metadata.annotations.as_ref()?.get(&format!("failover.linkerd.io/{name}"))?;
    Some(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())))
}

/// Waits until a split has these weights, and gives it back.
pub(crate) async fn wait_weights(
    splits: &Api<DynamicObject>,
    name: &str,
    wanted: &[f64],
) -> Result<DynamicObject> {
    eventually(&format!("{name} has the weights {wanted:?}"), PATIENCE, || async {
        let split = splits.get(name).await?;
        anyhow::ensure!(weights(&split) == wanted, "{:?}", split.data["spec"]["backends"]);
        Ok::<_, anyhow::Error>(split)
    })
    .await
}
