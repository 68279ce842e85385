//! Alerts about the replicas and what they need, fired by the real fault.

use crate::support::alerts::monitoring;
use crate::support::notifications::{Answer, KEY, TestReceiver};
use crate::support::*;
use anyhow::{Context, Result, ensure};
use rustls::pki_types::ServerName;
use serde_json::Value;
use test_cluster::{ApiProxy, Cluster, Installation, Replica, WEBHOOK_NAME};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The alerts that fire here.
pub(crate) const FIRED: &[&str] = &[
    "CAExpires",
    "CANotPublished",
    "CachesOld",
    "CertificateExpires",
    "NamespacesUnknown",
    "NoLeader",
    "NotificationsFailing",
    "NotificationsLost",
    "TwoLeaders",
    "WebhookAbsent",
    "WebhookSlow",
];

/// As the API server answers whoever lacks the right.
const FORBIDDEN: &str = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",
"message":"namespaces is forbidden","reason":"Forbidden","details":{"kind":"namespaces"},"code":403}"#;

/// Two replicas, the second behind a proxy. Their certificates end within a day, and the CA within a month.
async fn start(
    cluster: &Cluster,
    receiver: &TestReceiver,
    proxy: &ApiProxy,
) -> Result<Installation> {
    let values = ["alerts.enabled=true", "alerts.caNamespaces={monitoring}"];
    let mut installation = Installation::install(cluster, options(0, &values)).await?;
    let url = receiver.url();
    let environment = [
        ("LINKERD_FAILOVER_WEBHOOK_CA_LIFE", "480h"),
        ("LINKERD_FAILOVER_WEBHOOK_LEAF_LIFE", "12h"),
        ("LINKERD_FAILOVER_NOTIFICATIONS_URL", url.as_str()),
        ("LINKERD_FAILOVER_NOTIFICATIONS_KEY", KEY),
        ("LINKERD_FAILOVER_NOTIFICATIONS_SOURCE", "/clusters/east"),
    ];
    installation.start_replica_with(&environment).await?;
    installation.start_replica_through_with(proxy, &environment).await?;
    installation.wait_ready(PATIENCE).await?;
    wait_webhook(cluster).await?;
    Ok(installation)
}

/// A client of the webhook whose request does not come to its end.
async fn dawdle(cluster: &Cluster, replica: &Replica) -> Result<()> {
    let stream = TcpStream::connect(replica.webhook_addr()).await?;
    let name = ServerName::try_from(WEBHOOK_NAME)?;
    let mut stream = connector(cluster).await?.connect(name, stream).await?;
    let head =
        "POST /validate?timeout=1s HTTP/1.1\r\nhost: webhook\r\ncontent-length: 1000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await?;
    let mut answer = [0; 1024];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await??;
    let answer = String::from_utf8_lossy(answer.get(..read).context("too much")?).into_owned();
    ensure!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    Ok(())
}

/// Deletes an object. What it was, to be created again.
async fn delete(cluster: &Cluster, object: &[&str]) -> Result<String> {
    let get = cluster.kubectl(["get", "-o", "json"]).args(object.iter().copied()).ok().await?;
    cluster.kubectl(["delete"]).args(object.iter().copied()).ok().await?;
    let mut deleted: Value = serde_json::from_str(&get)?;
    let metadata = deleted["metadata"].as_object_mut().context("no metadata")?;
    for field in ["resourceVersion", "uid", "creationTimestamp", "managedFields"] {
        metadata.remove(field);
    }
    Ok(deleted.to_string())
}

async fn create(cluster: &Cluster, object: &str) -> Result<()> {
    cluster.kubectl(["create", "-f", "-"]).stdin(object).ok().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_about_replicas_fire_by_their_faults() -> Result<()> {
    let cluster = cluster().await?;
    monitoring(&cluster).await?;
    let receiver = TestReceiver::start(Answer::Accept).await?;
    let proxy = ApiProxy::start(&cluster)?;
    let mut installation = start(&cluster, &receiver, &proxy).await?;
    let (workload, _west, splits) = emojivoto_with_split(&cluster).await?;
    let [direct, behind] = installation.replicas() else { anyhow::bail!("not two replicas") };
    let (direct, behind) = (direct.clone(), behind.clone());
    let mut alerts = AlertRecorder::start(&cluster, &installation, &[]).await?;
    let ours = [("namespace", "linkerd-failover"), ("job", "linkerd-failover/linkerd-failover")];

    for replica in [&direct, &behind] {
        let summary = alerts.fires("CertificateExpires", &[("pod", replica.name())]).await?;
        ensure!(summary.contains(" ends in 1"), "{summary}");
    }
    let summary = alerts.fires("CAExpires", &ours).await?;
    ensure!(summary.contains(" ends in 19d "), "{summary}");
    alerts.none_but(&["CertificateExpires", "CAExpires"]).await?;

    // What the receiver does not take now is sent again, and what it refuses is not.
    receiver.answer(Answer::Fail);
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    alerts.fires("NotificationsFailing", &ours).await?;
    receiver.answer(Answer::Refuse);
    alerts.fires("NotificationsLost", &ours).await?;
    alerts.resolved("NotificationsFailing", &[]).await?;
    receiver.answer(Answer::Accept);

    dawdle(&cluster, &direct).await?;
    alerts.fires("WebhookSlow", &ours).await?;

    let validating = ["validatingwebhookconfiguration", "linkerd-failover"];
    let configuration = delete(&cluster, &validating).await?;
    alerts.fires("WebhookAbsent", &[("configuration", "validating")]).await?;
    create(&cluster, &configuration).await?;
    alerts.resolved("WebhookAbsent", &[]).await?;

    // One replica is answered by a load balancer; then it may not read namespaces.
    proxy.answer("/endpointslices", 502, "text/html", "Bad gateway");
    proxy.end("/endpointslices");
    alerts.fires("CachesOld", &[("pod", behind.name())]).await?;
    proxy.thaw();
    alerts.resolved("CachesOld", &[]).await?;
    proxy.answer("/api/v1/namespaces", 403, "application/json", FORBIDDEN);
    proxy.end("/api/v1/namespaces");
    alerts.fires("NamespacesUnknown", &ours).await?;
    proxy.thaw();
    alerts.resolved("NamespacesUnknown", &[]).await?;

    let map = ["configmap", "linkerd-failover-webhook-ca", "-n", "monitoring"];
    let map = delete(&cluster, &map).await?;
    direct.restart().await?;
    alerts.fires("CANotPublished", &ours).await?;
    create(&cluster, &map).await?;
    alerts.resolved("CANotPublished", &[]).await?;

    // One that acts as if it were alone.
    let alone = installation.start_replica_with(&[("LINKERD_FAILOVER_NO_LEASE", "true")]).await?;
    alerts.prometheus.discover(&installation).await?;
    alerts.fires("TwoLeaders", &ours).await?;
    alone.process().terminate(PATIENCE).await?;
    alerts.resolved("TwoLeaders", &[]).await?;

    for replica in [&direct, &behind] {
        replica.process().kill()?;
    }
    alerts.fires("NoLeader", &[]).await?;
    direct.restart().await?;
    alerts.resolved("NoLeader", &[]).await?;
    alerts.ensure_fired(FIRED)
}
