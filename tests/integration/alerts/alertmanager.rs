//! The real Alertmanager, with the route of the documentation, sends to both replicas.

use crate::support::alerts::*;
use crate::support::deletion_guard::{AWAY, BACK};
use crate::support::*;
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use linkerd_failover::kinds::traffic_split;
use test_cluster::{Alertmanager, Cluster, Recorder, WEBHOOK_NAME, eventually};

/// The page with the route.
const PAGE: &str = "docs/alerts.md";
/// More than twice the 10 s for which Alertmanager tries an address that is gone before it repeats to the other.
const FOR: &str = "alerts.for=25s";

/// The configuration in the documentation.
fn documented() -> Result<String> {
    let page = std::fs::read_to_string(PAGE)?;
    let begin = "```yaml\n# alertmanager.yml\n";
    let (_, rest) = page.split_once(begin).context("no configuration")?;
    Ok(rest.split_once("\n```").context("no end")?.0.to_owned())
}

/// The same for this cluster: faster, and with a second address.
fn configuration(addresses: [std::net::SocketAddr; 2]) -> Result<String> {
    let documented = documented()?;
    let (head, receiver) = documented.split_once("  - url: ").context("no url")?;
    let (url, rest) = receiver.split_once('\n').context("nothing after the url")?;
    ensure!(url == format!("https://{WEBHOOK_NAME}/alerts"), "{url}");
    let rest = rest
        .replace("/var/run/secrets/linkerd-failover/token", "token")
        .replace("/etc/alertmanager/linkerd-failover/ca.crt", "ca.crt")
        .replace("ca_file:", &format!("server_name: {WEBHOOK_NAME}\n        ca_file:"));
    let to = |address| format!("  - url: https://{address}/alerts\n{rest}\n");
    let faster = head
        .replace("_interval: 1m", "_interval: 1s")
        .replace("_interval: 50s", "_interval: 500ms");
    Ok(format!("{faster}{}{}", to(addresses[0]), to(addresses[1])))
}

/// What the program has put into the ConfigMap for Alertmanager.
async fn published_ca(cluster: &Cluster) -> Result<String> {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "monitoring");
    eventually("the CA is published", PATIENCE, || async {
        let map = maps.get("linkerd-failover-webhook-ca").await?;
        let ca = map.data.and_then(|mut data| data.remove("ca.crt")).context("no ca.crt")?;
        let [_, bundle] = bundles(cluster).await?;
        ensure!(ca == bundle, "another CA: {ca}");
        Ok(ca)
    })
    .await
}

/// Otherwise a Service would return in the middle of an alert.
#[test]
fn the_documented_route_repeats_three_times_within_the_default_of_the_chart() -> Result<()> {
    let documented = documented()?;
    for interval in ["group_interval: 1m", "repeat_interval: 50s"] {
        ensure!(documented.contains(interval), "{interval}: {documented}");
    }
    let values = std::fs::read_to_string("charts/linkerd-failover/values.yaml")?;
    let (_, alerts) = values.split_once("\nalerts:\n").context("no alerts")?;
    let lasts = alerts.lines().find_map(|line| line.trim().strip_prefix("for: "));
    let lasts: jiff::SignedDuration = lasts.context("no for")?.parse()?;
    ensure!(lasts >= jiff::SignedDuration::from_mins(3), "{lasts}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_moves_traffic_once_for_as_long_as_it_fires_and_back_once_also_with_a_replica_killed()
-> Result<()> {
    let cluster = cluster().await?;
    monitoring(&cluster).await?;
    let ca_here = "alerts.caNamespaces={monitoring}";
    let values = ["alerts.enabled=true", FOR, "alerts.minimumStay=1s", ca_here];
    let installation = install(&cluster, 2, &values).await?;
    let (workload, _west, splits) = emojivoto_with_split(&cluster).await?;
    allow_sender(&workload).await?;
    let token = sender_token(&cluster, AUDIENCE).await?;
    let ca = published_ca(&cluster).await?;
    let leader = leader(&cluster, &installation).await?;
    let service = installation.webhook_service().context("no webhook")?;
    let configuration = configuration([service, leader.webhook_addr()])?;
    let files = [("token", token.as_str()), ("ca.crt", ca.as_str())];
    let alertmanager = Alertmanager::start(&cluster, &configuration, &files).await?;
    let recorder = Recorder::start(&workload, &[traffic_split::api_resource()]).await?;
    let mark = recorder.now().await?;
    let moves = async || {
        let history = recorder.since(mark).await?;
        let moves = history.moves("emoji");
        anyhow::Ok(moves.into_iter().map(|one| one.to).collect::<Vec<_>>())
    };

    // Ready all the while, and declared down.
    alertmanager.send(&prometheus_alert("Failing", true)).await?;
    wait_declaring(&workload, 1).await.with_context(|| alertmanager.log_tail())?;
    let first = down_until(&workload).await?;
    wait_weights(&splits, "emoji", &AWAY).await?;
    let reason = service_annotation(&workload, "down-reason").await?;
    ensure!(reason.as_deref() == Some("Failing: 20% of the requests succeed"), "{reason:?}");

    // The replica that leads is killed in the middle; the other takes what Alertmanager repeats.
    leader.process().kill()?;
    eventually("the alert has fired for longer than alerts.for", PATIENCE, || async {
        let until = down_until(&workload).await?;
        ensure!(Timestamp::now() > first && until > Timestamp::now(), "{first}, now {until}");
        Ok(())
    })
    .await?;
    ensure!(moves().await? == [AWAY], "{:?}", moves().await?);

    // Another alert about the same Service comes and goes, and ends nothing but its own entry.
    alertmanager.send(&prometheus_alert("Slow", true)).await?;
    wait_declaring(&workload, 2).await?;
    alertmanager.send(&prometheus_alert("Slow", false)).await?;
    wait_declaring(&workload, 1).await?;
    ensure!(moves().await? == [AWAY], "{:?}", moves().await?);

    alertmanager.send(&prometheus_alert("Failing", false)).await?;
    wait_weights(&splits, "emoji", &BACK).await.with_context(|| alertmanager.log_tail())?;
    eventually("the declaration is gone", PATIENCE, || async {
        let until = service_annotation(&workload, "down-until").await?;
        ensure!(until.is_none(), "{until:?}");
        Ok(())
    })
    .await?;
    ensure!(moves().await? == [AWAY, BACK], "{:?}", moves().await?);
    Ok(())
}
