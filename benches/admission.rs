//! `make bench-admission`: how long `/mutate` and `/validate` take at a steady 200 requests a second,
//! beside a handler that answers without looking.
//!
//! Both are called in turn, round by round, with the same bodies over one connection each.

mod support;

use anyhow::Result;
use axum::body::Bytes;
use kube::api::ListParams;
use serde_json::{Value, json};
use std::time::Duration;
use support::load::{PER_SECOND, REQUESTS, WebhookClient, in_turn, webhook_ca};
use support::process::metric;
use support::reviews::{TRAFFIC_SPLIT, kubernetes_admin, review};
use support::{baseline, splits};
use test_cluster::{Cluster, Installation};

const PATIENCE: Duration = Duration::from_secs(60);
const ROUNDS: usize = 100;

#[tokio::main]
async fn main() -> Result<()> {
    if baseline::is_wanted() {
        return baseline::run().await;
    }
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    let installation = Installation::install(&cluster, support::options()).await?;
    installation.wait_ready(PATIENCE).await?;
    let _emojivoto = support::emojivoto(&cluster).await?;
    let reviews = reviews(&cluster).await?;

    let ca = webhook_ca(&cluster).await?;
    let webhook = WebhookClient::new(installation.replicas()[0].webhook_addr(), &ca)?;
    let (_child, baseline) = baseline::start().await?;

    let sizes: Vec<_> = reviews.iter().map(Bytes::len).collect();
    println!(
        "{PER_SECOND} requests a second, {ROUNDS} rounds of {REQUESTS} each; bodies of {sizes:?} bytes"
    );
    let targets = [
        ("without looking", &baseline, "/"),
        ("/mutate", &webhook, "/mutate"),
        ("/validate", &webhook, "/validate"),
    ];
    in_turn(&targets, ROUNDS, |_| reviews.clone()).await?;
    let metrics = installation.replicas()[0].get("/metrics").await?;
    for webhook in ["mutate", "validate"] {
        let of = |what: &str| metric(&metrics, &format!("{what}{{webhook=\"{webhook}\"}}"));
        let mean = of("admission_seconds_sum") / of("admission_seconds_count") * 1e3;
        println!("  /{webhook}: {mean:.2} ms on average from headers to answer, by its own metric");
    }
    drop(installation);
    cluster.stop().await
}

/// The reviews of a CREATE and of an UPDATE of a managed split that exists, as the API server makes
/// them.
async fn reviews(cluster: &Cluster) -> Result<Vec<Bytes>> {
    let splits = splits::api(cluster, "emojivoto");
    let mut split = splits::split("emoji", "emoji-svc", ["emoji-svc", "emoji-svc-west"]);
    split["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("Helm");
    split["metadata"]["labels"]["app.kubernetes.io/part-of"] = json!("emojivoto");
    splits::create(&splits, split).await?;
    splits.list(&ListParams::default()).await?;
    // The controller may have to record something yet.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let old = serde_json::to_value(splits.get("emoji").await?)?;
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
