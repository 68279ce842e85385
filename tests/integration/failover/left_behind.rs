//! Objects that are no longer managed while they are failed over.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use test_cluster::{Installation, Workload, eventually};

const METRIC: &str = "linkerd_failover_objects_left_behind";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_changed_selector_leaves_in_failover_is_named_with_the_command_that_releases_it()
-> Result<()> {
    let cluster = cluster().await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let before = install(&cluster, 1, &[]).await?;
    workload.apply(&emoji()).await?;
    let splits = splits(&cluster, "emojivoto");
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    // Of another installation, which has it by its own selector.
    let other = named("other");
    let other = other.replace("controlled-by: linkerd-failover", "controlled-by: second");
    workload.apply(&other).await?;
    let theirs = r#"{"metadata":{"annotations":{
        "failover.linkerd.io/state":"{\"v\":1,\"by\":\"second-1-a\",\"engine\":\"0.2.0\",\"sets\":{}}",
        "failover.linkerd.io/authored-weights":"{\"v\":1,\"sets\":{\"\":{\"emoji-svc\":0,\"emoji-svc-west\":1}}}"}}}"#;
    let annotate = workload.kubectl(["patch", "trafficsplits.split.smi-spec.io", "other"]);
    annotate.args(["--type=merge", "-p", theirs]).ok().await?;
    drop(before);

    let after = Installation::install(&cluster, options(1, &["selector=team=x"])).await?;
    after.wait_ready(PATIENCE).await?;
    let note = wait_event(&workload, "emoji", "LeftBehind", "Warning").await?;
    ensure!(note.contains("labels that team=x does not match"), "{note}");
    let replica = &after.replicas()[0];
    wait_metric(replica, METRIC, 1.0).await?;

    let (_, command) = note.split_once("weights back: ").context("no command")?;
    cluster.sh(command).ok().await?;
    let split = wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    assert_eq!(annotation(&split, "state"), None);
    // It is no longer counted.
    wait_metric(replica, METRIC, 0.0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_notes_take_the_label_off_every_kind_that_the_cluster_has() -> Result<()> {
    let cluster = cluster().await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let _installation = install(&cluster, 1, &[]).await?;
    workload.apply(&emoji()).await?;
    let splits = splits(&cluster, "emojivoto");
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;

    let get = ["get", "notes", "linkerd-failover", "-n", "linkerd-failover"];
    let notes = cluster.helm(get).ok().await?;
    let (_, uninstall) = notes.split_once("To uninstall").context("no such section")?;
    let begin = uninstall.find("  for kind in").context("no loop")?;
    let end = uninstall.find("  done\n").context("no end of the loop")? + "  done\n".len();
    // No routes are there.
    let reply = cluster.sh(&uninstall[begin..end]).ok().await?;
    ensure!(reply.contains("emoji unlabeled"), "{reply}");
    let split = wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    assert_eq!(annotation(&split, "state"), None);
    ensure!(split.metadata.labels.unwrap_or_default().is_empty(), "a label stayed");

    cluster.install_gateway_api_crds().await?;
    let route = std::fs::read_to_string("manifests/examples/http/emojivoto-route.yaml")?;
    eventually("the route is taken", PATIENCE, || async { workload.apply(&route).await.map(drop) })
        .await?;
    let reply = cluster.sh(&uninstall[begin..end]).ok().await?;
    ensure!(reply.contains("unlabeled"), "{reply}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_that_are_managed_no_longer_are_named_once() -> Result<()> {
    let cluster = cluster().await?;
    let (_workload, _west) = emojivoto(&cluster).await?;
    let own = Workload::new(&cluster, "brief").await?;
    let before = Installation::install(&cluster, options(1, &["namespaces={brief,emojivoto}"]));
    let before = before.await?;
    before.wait_ready(PATIENCE).await?;
    let lease = ["get", "lease", "linkerd-failover", "-n", "linkerd-failover", "-o", "yaml"];
    eventually("what is managed is written down", PATIENCE, || async {
        let text = cluster.kubectl(lease).ok().await?;
        ensure!(text.contains("failover.linkerd.io/manages: brief,emojivoto"), "{text}");
        Ok(())
    })
    .await?;
    drop(before);
    let after = Installation::install(&cluster, options(1, &["namespaces={brief}"])).await?;
    after.wait_ready(PATIENCE).await?;
    let events = ["get", "events", "-n", "linkerd-failover", "-o", "yaml"];
    let events =
        || cluster.kubectl(events).args(["--field-selector", "reason=NamespacesLeft"]).ok();
    eventually("the Event names it", PATIENCE, || async {
        let text = events().await?;
        ensure!(text.contains("No longer managed: emojivoto."), "{text}");
        Ok(())
    })
    .await?;
    after.replicas()[0].restart().await?;
    after.replicas()[0].wait_ready(PATIENCE).await?;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(events().await?.matches("No longer managed").count(), 1);
    drop(own);
    Ok(())
}
