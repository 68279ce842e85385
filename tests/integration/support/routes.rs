//! HTTPRoutes and GRPCRoutes: their manifests, and what is read of them.

use super::*;
use anyhow::{Result, ensure};
use kube::Api;
use kube::core::DynamicObject;
use linkerd_failover::kinds::Kind;
use serde_json::{Value, json};
use test_cluster::{Cluster, eventually};

/// A managed route for emoji-svc: each rule a name and its backends, the first with weight 1.
pub(crate) fn route(kind: Kind, rules: &[(&str, &[&str])]) -> Value {
    let rule = |(name, backends): &(&str, &[&str])| {
        let backends: Vec<_> = backends
            .iter()
            .enumerate()
            .map(|(i, name)| json!({"name": name, "port": 8080, "weight": u32::from(i == 0)}))
            .collect();
        match *name {
            "" => json!({"backendRefs": backends}),
            name => json!({"name": name, "backendRefs": backends}),
        }
    };
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": kind.as_str(),
        "metadata": {
            "name": "emoji", "namespace": "emojivoto",
            "labels": {"failover.linkerd.io/controlled-by": "linkerd-failover"},
        },
        "spec": {
            "parentRefs": [{"group": "core", "kind": "Service", "name": "emoji-svc", "port": 8080}],
            "rules": rules.iter().map(rule).collect::<Vec<_>>(),
        },
    })
}

pub(crate) fn routes(cluster: &Cluster, kind: Kind) -> Api<DynamicObject> {
    Api::namespaced_with(cluster.client(), "emojivoto", &kind.api_resource("v1"))
}

/// The weights of each rule.
pub(crate) fn rule_weights(route: &DynamicObject) -> Vec<Vec<u64>> {
    let rules = route.data["spec"]["rules"].as_array().cloned().unwrap_or_default();
    let refs = |rule: &Value| rule["backendRefs"].as_array().cloned().unwrap_or_default();
    let weights = |rule| refs(rule).iter().filter_map(|b| b["weight"].as_u64()).collect();
    rules.iter().map(weights).collect()
}

pub(crate) async fn wait_rules(
    routes: &Api<DynamicObject>,
    name: &str,
    wanted: &[Vec<u64>],
) -> Result<DynamicObject> {
    eventually(&format!("{name} has the weights {wanted:?}"), PATIENCE, || async {
        let route = routes.get(name).await?;
        ensure!(rule_weights(&route) == wanted, "{:?}", rule_weights(&route));
        Ok::<_, anyhow::Error>(route)
    })
    .await
}
