//! `/mutate` and `/validate` at a steady 200 requests a second, beside a handler that answers without
//! looking. Both are called in turn, round by round, with the same bodies over one connection each.

use crate::support::bench::{PATIENCE, Site};
use crate::support::empty_handler;
use crate::support::figures::{Name, beside};
use crate::support::load::{WebhookClient, beside_first, in_turn};
use crate::support::pair::{admin, create};
use crate::support::process::metric;
use crate::support::reviews::{TRAFFIC_SPLIT, kubernetes_admin, review};
use crate::support::subject::Subject;
use anyhow::Result;
use axum::body::Bytes;
use bench_table::Row;
use kube::Api;
use kube::core::DynamicObject;
use linkerd_failover::kinds::traffic_split;
use serde_json::{Value, json};
use std::time::Duration;
use test_cluster::{Cluster, Workload, eventually, webhook_ca};

const NAMESPACE: &str = "emojivoto";

pub(super) async fn measure(site: Site<'_>) -> Result<Vec<Row>> {
    let Site { options, cluster, installation } = site;
    let reviews = reviews(cluster).await?;
    let ca = webhook_ca(cluster).await?;
    let replica = &installation.replicas()[0];
    let webhook = WebhookClient::new(replica.webhook_addr(), &ca)?;
    let (_child, empty) = empty_handler::start().await?;
    let targets = [(&empty, "/"), (&webhook, "/mutate"), (&webhook, "/validate")];
    let rounds = in_turn(&targets, options.budget(24, 10), |_| reviews.clone()).await?;
    let metrics = replica.get("/metrics").await?;
    let mut rows = vec![];
    for (target, webhook) in [(1, "mutate"), (2, "validate")] {
        let of = |what: &str| metric(&metrics, &format!("{what}{{webhook=\"{webhook}\"}}"));
        let mean = of("admission_seconds_sum") / of("admission_seconds_count") * 1e3;
        let rounds = beside_first(&rounds, target);
        for (percentile, share) in [("p50", 0.5), ("p99", 0.99)] {
            let (id, title) =
                (format!("{webhook}-{percentile}"), format!("/{webhook}, {percentile}"));
            let row = beside(Name::milliseconds(&id, &title), &rounds, share)?.aim(1.2);
            rows.push(row.note(format!("{mean:.2} ms on average by its own metric")));
        }
    }
    Ok(rows)
}

/// The reviews of a CREATE and of an UPDATE of a managed split that exists, as the API server makes
/// them.
pub(super) async fn reviews(cluster: &Cluster) -> Result<Vec<Bytes>> {
    let workload = Workload::new(cluster, NAMESPACE).await?;
    for service in ["emoji-svc", "emoji-svc-west"] {
        workload.service_with_slice(service, 1).await?;
    }
    let split = json!({
        "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {"name": "emoji", "labels": {
            "failover.linkerd.io/controlled-by": "linkerd-failover",
            "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/part-of": NAMESPACE}},
        "spec": {"service": "emoji-svc", "backends": [
            {"service": "emoji-svc", "weight": 1}, {"service": "emoji-svc-west", "weight": 0}]},
    });
    create(&admin(cluster).await?, &Subject::Split.within(NAMESPACE), split).await?;
    // The controller may have to record something yet.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let splits: Api<DynamicObject> =
        Api::namespaced_with(cluster.client(), NAMESPACE, &traffic_split::api_resource());
    let stored = eventually("the split is there", PATIENCE, || splits.get("emoji")).await?;
    let old = serde_json::to_value(stored)?;
    let mut edited = old.clone();
    edited["spec"]["backends"][0]["weight"] = json!(2);
    let mut created = old.clone();
    created["metadata"]["annotations"] = Value::Null;
    created["metadata"]["resourceVersion"] = Value::Null;
    let options = json!({"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1",
        "fieldManager": "kubectl-client-side-apply"});
    let review = |operation, object, old| {
        review(&TRAFFIC_SPLIT, operation, object, old, &kubernetes_admin(), &options)
    };
    let reviews = [review("CREATE", &created, &Value::Null), review("UPDATE", &edited, &old)];
    Ok(reviews.map(|review| Bytes::from(review.to_string())).to_vec())
}
