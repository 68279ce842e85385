//! Alerts about `emoji-svc`, and who sends them.

use super::*;
use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Service;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use test_cluster::{Cluster, Workload, eventually};

/// Whom tokens are for that the receiver of alerts takes.
pub(crate) const AUDIENCE: &str = "alerts.failover.linkerd.io";

/// A namespace with the ServiceAccount that Alertmanager runs under.
pub(crate) async fn monitoring(cluster: &Cluster) -> Result<()> {
    cluster.kubectl(["create", "namespace", "monitoring"]).ok().await?;
    let account = ["-n", "monitoring", "create", "serviceaccount", "alertmanager"];
    cluster.kubectl(account).ok().await.map(drop)
}

/// A token of that ServiceAccount for an audience.
pub(crate) async fn sender_token(cluster: &Cluster, audience: &str) -> Result<String> {
    let audience = format!("--audience={audience}");
    let create = ["-n", "monitoring", "create", "token", "alertmanager", &audience];
    Ok(cluster.kubectl(create).ok().await?.trim().to_owned())
}

/// Lets that ServiceAccount patch `emoji-svc`.
pub(crate) async fn allow_sender(workload: &Workload<'_>) -> Result<()> {
    let role = ["create", "role", "alerts", "--verb=patch", "--resource=services"];
    workload.kubectl(role).args(["--resource-name=emoji-svc"]).ok().await?;
    let binding = ["create", "rolebinding", "alerts", "--role=alerts"];
    let account = "--serviceaccount=monitoring:alertmanager";
    workload.kubectl(binding).args([account]).ok().await.map(drop)
}

/// An alert about `emoji-svc` as Prometheus sends it: firing for an hour, or resolved.
pub(crate) fn prometheus_alert(name: &str, fires: bool) -> Value {
    let ends = if fires { SignedDuration::from_hours(1) } else { SignedDuration::ZERO };
    json!([{
        "labels": {
            "alertname": name, "namespace": "emojivoto", "service": "emoji-svc",
            "linkerd_failover": "down",
        },
        "annotations": {"summary": "20% of the requests succeed"},
        "startsAt": Timestamp::now() - SignedDuration::from_secs(60),
        "endsAt": Timestamp::now() + ends,
    }])
}

/// A notification as Alertmanager sends it.
pub(crate) fn notification(fingerprint: &str, service: &str, status: &str) -> Value {
    json!({
        "version": "4",
        "status": status,
        "receiver": "linkerd-failover",
        "truncatedAlerts": 0,
        "alerts": [{
            "status": status,
            "labels": {"alertname": "Failing", "namespace": "emojivoto", "service": service},
            "annotations": {},
            "startsAt": Timestamp::now(),
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": fingerprint,
        }],
    })
}

/// An annotation of `failover.linkerd.io/` on `emoji-svc`.
pub(crate) async fn service_annotation(
    workload: &Workload<'_>,
    name: &str,
) -> Result<Option<String>> {
    let services: Api<Service> = workload.api();
    let service = services.get("emoji-svc").await?;
    Ok(service.annotations().get(&format!("failover.linkerd.io/{name}")).cloned())
}

/// The alerts that declare `emoji-svc` down.
pub(crate) async fn declaring_alerts(workload: &Workload<'_>) -> Result<Vec<Value>> {
    let by = service_annotation(workload, "down-by").await?;
    let by: Value = by.map_or(Ok(Value::Null), |by| serde_json::from_str(&by))?;
    Ok(by["alerts"].as_array().cloned().unwrap_or_default())
}

/// Waits until so many alerts declare `emoji-svc` down.
pub(crate) async fn wait_declaring(workload: &Workload<'_>, wanted: usize) -> Result<Vec<Value>> {
    eventually(&format!("{wanted} alerts declare emoji-svc down"), PATIENCE, || async {
        let alerts = declaring_alerts(workload).await?;
        anyhow::ensure!(alerts.len() == wanted, "{alerts:?}");
        Ok(alerts)
    })
    .await
}

/// The time until which `emoji-svc` is declared down.
pub(crate) async fn down_until(workload: &Workload<'_>) -> Result<Timestamp> {
    let until = service_annotation(workload, "down-until").await?;
    Ok(until.context("no down-until")?.parse()?)
}
