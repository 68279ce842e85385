//! `make bench-admission`: how long `/mutate` and `/validate` take at a steady 200 requests a second,
//! beside a handler that answers without looking.
//!
//! Both are asked in turn, round by round, with the same bodies over one connection each.

mod steady;

use anyhow::Result;
use axum::body::Bytes;
use kube::Api;
use kube::api::{DynamicObject, ListParams, PostParams};
use linkerd_failover::kinds::traffic_split;
use serde_json::{Value, json};
use std::time::Duration;
use steady::{
    Asked, OTHER, PER_SECOND, REQUESTS, answer_without_looking, in_turn, start_other, webhook_ca,
};
use test_cluster::{Cluster, InstallOptions, Installation, Workload};

const PATIENCE: Duration = Duration::from_secs(60);
const ROUNDS: usize = 100;

#[tokio::main]
async fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some(OTHER) {
        return answer_without_looking().await;
    }
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    let installation = Installation::install(&cluster, InstallOptions::default()).await?;
    installation.wait_ready(PATIENCE).await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    workload.deploy_emoji(1).await?;
    let _west = workload.mirror("emoji-svc", "west").await?;
    let reviews = reviews(&cluster).await?;

    let ca = webhook_ca(&cluster).await?;
    let ours = Asked::new(installation.replicas()[0].webhook_addr(), &ca)?;
    let (_child, other) = start_other().await?;

    let sizes: Vec<_> = reviews.iter().map(Bytes::len).collect();
    println!(
        "{PER_SECOND} requests a second, {ROUNDS} rounds of {REQUESTS} each; bodies of {sizes:?} bytes"
    );
    let legs = [
        ("without looking", &other, "/"),
        ("/mutate", &ours, "/mutate"),
        ("/validate", &ours, "/validate"),
    ];
    in_turn(&legs, ROUNDS, |_| reviews.clone()).await?;
    let metrics = installation.replicas()[0].get("/metrics").await?;
    for webhook in ["mutate", "validate"] {
        let of = |what: &str| value(&metrics, &format!("{what}{{webhook=\"{webhook}\"}}"));
        let mean = of("admission_seconds_sum") / of("admission_seconds_count") * 1e3;
        println!("  /{webhook}: {mean:.2} ms on average from headers to answer, by its own metric");
    }
    drop(installation);
    cluster.stop().await
}

fn value(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find(|line| line.starts_with(&format!("linkerd_failover_{name}")));
    line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok()).unwrap_or(f64::NAN)
}

/// The reviews of a CREATE and of an UPDATE of a managed split that exists, as the API server makes
/// them.
async fn reviews(cluster: &Cluster) -> Result<Vec<Bytes>> {
    let splits: Api<DynamicObject> =
        Api::namespaced_with(cluster.client(), "emojivoto", &traffic_split::api_resource());
    let split = serde_json::from_value(json!({
        "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {"name": "emoji", "labels": {
            "failover.linkerd.io/controlled-by": "linkerd-failover",
            "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/part-of": "emojivoto",
        }},
        "spec": {"service": "emoji-svc", "backends": [
            {"service": "emoji-svc", "weight": 1}, {"service": "emoji-svc-west", "weight": 0},
        ]},
    }))?;
    splits.create(&PostParams::default(), &split).await?;
    splits.list(&ListParams::default()).await?;
    // The controller may have to record something yet.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let old = serde_json::to_value(splits.get("emoji").await?)?;
    let mut edited = old.clone();
    edited["spec"]["backends"][0]["weight"] = json!(2);
    let mut created = old.clone();
    created["metadata"]["annotations"] = Value::Null;
    created["metadata"]["resourceVersion"] = Value::Null;
    let reviews = [review("CREATE", &created, &Value::Null), review("UPDATE", &edited, &old)];
    Ok(reviews.map(|review| Bytes::from(review.to_string())).to_vec())
}

fn review(operation: &str, object: &Value, old: &Value) -> Value {
    let kind = json!({"group": "split.smi-spec.io", "version": "v1alpha2", "kind": "TrafficSplit"});
    let resource =
        json!({"group": "split.smi-spec.io", "version": "v1alpha2", "resource": "trafficsplits"});
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
        "name": "emoji", "namespace": "emojivoto", "operation": operation,
        "userInfo": {"username": "kubernetes-admin",
            "groups": ["kubeadm:cluster-admins", "system:authenticated"],
            "extra": {"authentication.kubernetes.io/credential-id": ["X509SHA256=4cf1d4c4"]}},
        "object": object, "oldObject": old, "dryRun": false,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "kubectl-client-side-apply"},
    }})
}
