//! The namespaced mode: a few namespaces, and no right to read any other.

use crate::support::*;
use anyhow::Result;
use kube::ResourceExt;
use std::time::Duration;
use test_cluster::{Installation, Workload, eventually};

async fn refused(workload: &Workload<'_>) -> Result<bool> {
    let bad = emoji().replace("emoji-svc-west", "emoji-svc-wset");
    let bad = bad.replace("namespace: emojivoto", &format!("namespace: {}", workload.namespace()));
    let create = workload.kubectl(["create", "--dry-run=server", "-f", "-"]).stdin(bad);
    Ok(create.output().await?.stderr.contains("denied the request"))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_named_namespaces_are_managed_and_one_that_goes_stops_no_other() -> Result<()> {
    let cluster = cluster().await?;
    let (ours, _west) = emojivoto(&cluster).await?;
    let theirs = Workload::new(&cluster, "theirs").await?;
    theirs.deploy_emoji(1).await?;
    let _their_west = theirs.mirror("emoji-svc", "west").await?;
    let brief = Workload::new(&cluster, "brief").await?;

    let values = ["namespaces={brief,emojivoto}"];
    let installation = Installation::install(&cluster, options(1, &values)).await?;
    installation.wait_ready(PATIENCE).await?;

    for (allowed, question) in [
        (true, ["list", "services", "--namespace=emojivoto"]),
        (true, ["watch", "endpointslices.discovery.k8s.io", "--namespace=emojivoto"]),
        (true, ["patch", "trafficsplits.split.smi-spec.io", "--namespace=brief"]),
        (true, ["patch", "namespaces/linkerd-failover", "--all-namespaces"]),
        (true, ["watch", "namespaces/emojivoto", "--all-namespaces"]),
        (false, ["get", "namespaces/theirs", "--all-namespaces"]),
        (false, ["patch", "namespaces/emojivoto", "--all-namespaces"]),
        (false, ["list", "services", "--namespace=theirs"]),
        (false, ["patch", "trafficsplits.split.smi-spec.io", "--namespace=theirs"]),
        (false, ["list", "services", "--all-namespaces"]),
        (false, ["list", "trafficsplits.split.smi-spec.io", "--all-namespaces"]),
        (false, ["list", "namespaces", "--all-namespaces"]),
        (false, ["list", "secrets", "--namespace=emojivoto"]),
    ] {
        assert_eq!(may(&cluster, &question).await?, allowed, "{question:?}");
    }

    wait_extension_label(&cluster, Some("failover")).await?;

    // The webhook is asked there alone.
    eventually("a bad split is refused", PATIENCE, || async {
        anyhow::ensure!(refused(&ours).await?, "it was taken");
        Ok(())
    })
    .await?;
    assert!(!refused(&theirs).await?);

    ours.apply(&emoji()).await?;
    let our_splits = splits(&cluster, "emojivoto");
    // Of the namespaces themselves these may be read, by name.
    let protect = |value: &str| {
        let annotation = format!("failover.linkerd.io/protection{value}");
        cluster.kubectl(["annotate", "namespace", "emojivoto"]).args([annotation]).ok()
    };
    protect("=seamless").await?;
    wait_weights(&our_splits, "emoji", &[429_495.0, 1.0]).await?;
    protect("-").await?;
    wait_weights(&our_splits, "emoji", &[1.0, 0.0]).await?;
    theirs.apply(&emoji().replace("namespace: emojivoto", "namespace: theirs")).await?;
    theirs.scale("emoji", 0).await?;
    theirs.wait_endpoints("emoji-svc", 0).await?;
    ours.scale("emoji", 0).await?;
    wait_weights(&our_splits, "emoji", &[0.0, 1.0]).await?;
    let left_alone = splits(&cluster, "theirs").get("emoji").await?;
    assert_eq!(weights(&left_alone), [1.0, 0.0]);
    assert!(!left_alone.annotations().contains_key("failover.linkerd.io/state"));

    // With the namespace our Role in it goes: what is read there is forbidden, and no more.
    brief.kubectl(["delete", "namespace", "brief"]).ok().await?;
    let replica = &installation.replicas()[0];
    replica.restart().await?;
    replica.wait_ready(PATIENCE).await?;
    let forbidden = || async { replica.get("/metrics").await };
    let name = "linkerd_failover_forbidden_namespaces";
    ours.scale("emoji", 1).await?;
    wait_weights(&our_splits, "emoji", &[1.0, 0.0]).await?;
    wait_metric(replica, name, 1.0).await?;
    let mut alerts = AlertRecorder::start(&cluster, &installation, &[]).await?;
    alerts.fires("NamespaceForbidden", &[("namespace", "linkerd-failover")]).await?;

    // Services that may not be read are not Services that are gone.
    let patch = |operation: &str| {
        let patch = ours.kubectl(["patch", "role", "linkerd-failover-managed", "--type=json"]);
        patch.args(["-p", operation]).ok()
    };
    patch(r#"[{"op":"remove","path":"/rules/1"}]"#).await?;
    eventually("Services may not be read", PATIENCE, || async {
        let may = may(&cluster, &["list", "services", "--namespace=emojivoto"]).await?;
        anyhow::ensure!(!may, "they may");
        Ok(())
    })
    .await?;
    replica.restart().await?;
    replica.wait_ready(PATIENCE).await?;
    ours.scale("emoji", 0).await?;
    ours.wait_endpoints("emoji-svc", 0).await?;
    wait_metric(replica, name, 2.0).await?;
    // Longer than a move takes.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(weights(&our_splits.get("emoji").await?), [1.0, 0.0]);
    let rule = r#"{"apiGroups":[""],"resources":["services"],"verbs":["get","list","watch"]}"#;
    patch(&format!(r#"[{{"op":"add","path":"/rules/1","value":{rule}}}]"#)).await?;
    wait_weights(&our_splits, "emoji", &[0.0, 1.0]).await?;

    // The namespace comes back, and an upgrade brings its Role back.
    let _again = Workload::new(&cluster, "brief").await?;
    let upgrade = ["upgrade", "linkerd-failover", "charts/linkerd-failover", "--reuse-values"];
    let upgrade = cluster.helm(upgrade).args(["--namespace", "linkerd-failover"]);
    // Helm 4 leaves what another has changed, were it only there and back.
    upgrade.args(["--force-conflicts"]).ok().await?;
    eventually("nothing is forbidden", PATIENCE, || async {
        let count = metric(&forbidden().await?, name);
        anyhow::ensure!(count == Some(0.0), "{count:?}");
        Ok(())
    })
    .await
}
