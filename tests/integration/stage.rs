//! A cluster with the chart installed and emojivoto in it.

use anyhow::{Context, Result};
use kube::api::{Api, ListParams};
use kube::core::DynamicObject;
use linkerd_failover::engine::State;
use linkerd_failover::kinds::traffic_split;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use test_cluster::{Cluster, Contents, InstallOptions, Installation, Mirror, Workload, eventually};

/// Generous: a machine that builds beside the tests must not fail them.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Prints the program's logs if a test fails.
pub(crate) fn options(replicas: usize, values: &[&str]) -> InstallOptions {
    let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_linkerd-failover"));
    InstallOptions { values, replicas, binary, ..InstallOptions::default() }
}

/// A cluster with the CRD of `TrafficSplit`, and nothing else.
pub(crate) async fn cluster() -> Result<Cluster> {
    Cluster::shared(Contents::TrafficSplits).await
}

/// A cluster without any custom resource.
pub(crate) async fn bare_cluster() -> Result<Cluster> {
    Cluster::shared(Contents::Nothing).await
}

/// The chart with so many replicas, ready.
pub(crate) async fn install(
    cluster: &Cluster,
    replicas: usize,
    values: &[&str],
) -> Result<Installation> {
    let installation = Installation::install(cluster, options(replicas, values)).await?;
    installation.wait_ready(PATIENCE).await?;
    wait_webhook(cluster).await?;
    Ok(installation)
}

/// Waits until the API server asks the webhook and is answered: it takes a moment to hear of a
/// webhook and of its CA, and a Service takes one to lead to a pod that has become ready.
pub(crate) async fn wait_webhook(cluster: &Cluster) -> Result<()> {
    eventually("a bad split is refused by the webhook", PATIENCE, || async {
        let probe = manifest("probe", "nowhere", &[]).replace("  namespace: emojivoto\n", "");
        let refused = cluster
            .kubectl(["create", "--dry-run=server", "-n", "default", "-f", "-"])
            .stdin(probe)
            .output()
            .await?;
        anyhow::ensure!(refused.stderr.contains("denied the request"), "{}", refused.stderr);
        Ok(())
    })
    .await
}

/// Emojivoto: `emoji-svc` with one kwok pod, and its mirror from the cluster west.
pub(crate) async fn emojivoto(cluster: &Cluster) -> Result<(Workload<'_>, Mirror)> {
    let workload = Workload::new(cluster, "emojivoto").await?;
    workload.deploy_emoji(1).await?;
    let west = workload.mirror("emoji-svc", "west").await?;
    Ok((workload, west))
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
    traffic_split::read(split).state()
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

/// Waits for an Event about a split, and gives its note back.
pub(crate) async fn wait_event(
    workload: &Workload<'_>,
    about: &str,
    reason: &str,
    type_: &str,
) -> Result<String> {
    let api: Api<k8s_openapi::api::events::v1::Event> = workload.api();
    eventually(&format!("a {type_} Event {reason} about {about}"), PATIENCE, || async {
        let events = api.list(&ListParams::default()).await?;
        let found = events.items.into_iter().find(|event| {
            event.regarding.as_ref().and_then(|r| r.name.as_deref()) == Some(about)
                && event.reason.as_deref() == Some(reason)
                && event.type_.as_deref() == Some(type_)
        });
        found.and_then(|event| event.note).context("none yet")
    })
    .await
}

/// A metric's value on a replica's `/metrics`.
pub(crate) fn metric(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// The sum of all samples of a metric, whatever their labels.
pub(crate) fn sum_of_metric(text: &str, name: &str) -> f64 {
    // That of none is -0.0.
    let samples = text.lines().filter(|line| line.starts_with(name));
    samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>() + 0.0
}

/// The JSON of an annotation.
pub(crate) fn annotation(split: &DynamicObject, name: &str) -> Option<Value> {
    let text = split.metadata.annotations.as_ref()?.get(&format!("failover.linkerd.io/{name}"))?;
    Some(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())))
}

/// A webhook where nobody listens: every update of this kind is refused, until it is deleted by the
/// name `third`.
pub(crate) fn refusing(group: &str, plural: &str) -> String {
    format!(
        r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: third}}
webhooks:
- name: third.example.com
  clientConfig: {{url: "https://127.0.0.1:1/"}}
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  timeoutSeconds: 1
  rules:
  - {{apiGroups: [{group}], apiVersions: ["*"], operations: [UPDATE], resources: [{plural}]}}
"#
    )
}
