//! TrafficSplits between `primary` and `fallback`.

use anyhow::Result;
use kube::Api;
use kube::api::PostParams;
use kube::core::DynamicObject;
use linkerd_failover::kinds::traffic_split;
use serde_json::{Value, json};
use test_cluster::Cluster;

/// Objects that are made at once, while nothing is measured.
pub(crate) const AT_ONCE: usize = 32;

pub(crate) fn api(cluster: &Cluster, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(cluster.client(), namespace, &traffic_split::api_resource())
}

/// A split of `service` with all its weight on the first of two backends.
pub(crate) fn split(name: &str, service: &str, backends: [&str; 2]) -> Value {
    json!({
        "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {"name": name,
            "labels": {"failover.linkerd.io/controlled-by": "linkerd-failover"}},
        "spec": {"service": service, "backends": [
            {"service": backends[0], "weight": 1}, {"service": backends[1], "weight": 0},
        ]},
    })
}

pub(crate) async fn create(splits: &Api<DynamicObject>, split: Value) -> Result<()> {
    splits.create(&PostParams::default(), &serde_json::from_value(split)?).await?;
    Ok(())
}

/// The weights that follow when so many endpoints of the primary are ready.
pub(crate) fn wanted(ready: usize) -> [u32; 2] {
    [u32::from(ready == 1), u32::from(ready == 0)]
}

pub(crate) fn has_weights(split: &DynamicObject, wanted: [u32; 2]) -> bool {
    let backends = &split.data["spec"]["backends"];
    wanted.iter().enumerate().all(|(i, weight)| backends[i]["weight"] == json!(weight))
}
