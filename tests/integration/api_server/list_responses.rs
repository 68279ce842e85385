//! What a LIST is answered, and what it is not: nobody takes a page of HTML for an empty list, nor a
//! part of the truth for all of it.

use crate::support::*;
use anyhow::{Result, ensure};
use std::time::Duration;
use test_cluster::{ApiProxy, Installation, eventually};

const HTML: &str = "<html><body>404 page not found</body></html>";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_html_for_a_list_is_cannot_see_and_never_there_are_none() -> Result<()> {
    let cluster = cluster().await?;
    let (installation, proxy) = install_behind_a_proxy(&cluster).await?;
    let replica = &installation.replicas()[0];
    let (workload, _west, splits) = emojivoto_with_split(&cluster).await?;

    for (path, status) in [
        ("/endpointslices", 404),
        ("/services", 404),
        ("/namespaces", 404),
        ("/trafficsplits", 404),
        ("/trafficsplits", 403),
        ("/endpointslices", 503),
    ] {
        let before = proxy.requests(path);
        proxy.answer(path, status, "text/html", HTML);
        proxy.end(path);
        // Watches are listed again at once, and again and again: who asks once more has read an answer.
        eventually(&format!("{path} is asked for again"), PATIENCE, || async {
            let more = proxy.requests(path) - before;
            ensure!(more >= 3, "{more} requests");
            Ok(())
        })
        .await?;
        if !path.contains("trafficsplits") {
            wait_metric(replica, "linkerd_failover_caches_synced", 0.0).await?;
        }
        let metrics = replica.get("/metrics").await?;
        ensure!(metric(&metrics, "linkerd_failover_managed") == Some(1.0), "{path} {status}");
        ensure!(weights(&splits.get("emoji").await?) == [1.0, 0.0], "{path} {status}");
        proxy.thaw();
        wait_metric(replica, "linkerd_failover_caches_synced", 1.0).await?;
    }
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_whose_watch_of_services_is_frozen_moves_no_ready_primary() -> Result<()> {
    let cluster = cluster().await?;
    let mut installation = Installation::install(&cluster, options(0, &[])).await?;
    let proxy = ApiProxy::start(&cluster)?;
    installation.start_replica().await?.wait_ready(PATIENCE).await?;
    leader(&cluster, &installation).await?;
    let standby = installation.start_replica_through(&proxy).await?;
    installation.wait_ready(PATIENCE).await?;
    wait_webhook(&cluster).await?;
    let (workload, _west, splits) = emojivoto_with_split(&cluster).await?;

    // It sees the new slices, and asks them for the ports by the old names.
    proxy.freeze_watches("/services");
    let rename = r#"[{"op": "replace", "path": "/spec/ports/0/name", "value": "renamed"}]"#;
    workload.kubectl(["patch", "service", "emoji-svc", "--type=json", "-p", rename]).ok().await?;
    eventually("its slices have the new name", PATIENCE, || async {
        let slices = ["get", "endpointslices", "-l", "kubernetes.io/service-name=emoji-svc"];
        let names =
            workload.kubectl(slices).args(["-o", "jsonpath={..ports[*].name}"]).ok().await?;
        ensure!(names == "renamed", "{names}");
        Ok(())
    })
    .await?;
    // Longer than a changed Service is waited for, and a standby for its leader.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let metrics = standby.get("/metrics").await?;
    ensure!(metric(&metrics, "linkerd_failover_rescues_total") == Some(0.0), "{metrics}");
    ensure!(weights(&splits.get("emoji").await?) == [1.0, 0.0]);
    // What is true, it does confirm: the leader is dead, and then the primary.
    installation.replicas()[0].process().kill()?;
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    Ok(())
}
