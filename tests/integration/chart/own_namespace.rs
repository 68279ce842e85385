//! The label of an extension on the program's own namespace.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use std::time::Duration;
use test_cluster::{Cluster, Installation, eventually};

const NAME: &str = "linkerd-failover";

/// The notes of the Events that say that it is not labelled.
async fn notes(cluster: &Cluster) -> Result<Vec<String>> {
    let events: Api<Event> = Api::namespaced(cluster.client(), NAME);
    let events = events.list(&ListParams::default()).await?.items.into_iter();
    let ours = events.filter(|event| event.reason.as_deref() == Some("NamespaceNotLabelled"));
    Ok(ours.filter_map(|event| event.note).collect())
}

async fn wait_note(cluster: &Cluster, words: &str) -> Result<()> {
    eventually(&format!("an Event has {words:?}"), PATIENCE, || async {
        let notes = notes(cluster).await?;
        ensure!(notes.iter().any(|note| note.contains(words)), "{notes:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_labels_its_own_namespace_and_the_chart_has_no_job() -> Result<()> {
    let cluster = cluster().await?;
    let helm = cluster.helm(["template", NAME, CHART, "-n", NAME]).ok().await?;
    assert!(!helm.contains("kind: Job") && !helm.contains("post-install"), "{helm}");

    cluster.kubectl(["create", "namespace", NAME]).ok().await?;
    let others = ["team=x", "pod-security.kubernetes.io/enforce=restricted"];
    cluster.kubectl(["label", "namespace", NAME]).args(others).ok().await?;
    // No place in the quota for a Job, and no namespace of Linkerd's.
    let quota = ["create", "quota", "full", "-n", NAME, "--hard=count/jobs.batch=0"];
    cluster.kubectl(quota).ok().await?;
    let installation = install(&cluster, 2, &[]).await?;
    wait_extension_label(&cluster, Some("failover")).await?;
    let labels_now = namespace_labels(&cluster).await?;
    assert_eq!(labels_now.get("team").map(String::as_str), Some("x"));
    let enforced = labels_now.get("pod-security.kubernetes.io/enforce");
    assert_eq!(enforced.map(String::as_str), Some("restricted"));

    // Taken off by mistake it comes back; again and again, it stays off, and that is reported.
    let take_off = || cluster.kubectl(["label", "namespace", NAME, "linkerd.io/extension-"]).ok();
    take_off().await?;
    wait_extension_label(&cluster, Some("failover")).await?;
    take_off().await?;
    wait_note(&cluster, "was taken off 2 times").await?;
    assert_eq!(namespace_labels(&cluster).await?.get(EXTENSION_LABEL), None);
    assert_eq!(notes(&cluster).await?.len(), 1);
    drop(installation);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_label_is_kept_and_a_forbidden_patch_is_reported_and_retried() -> Result<()> {
    let cluster = cluster().await?;
    cluster.kubectl(["create", "namespace", NAME]).ok().await?;
    cluster.kubectl(["label", "namespace", NAME, "linkerd.io/extension=other"]).ok().await?;
    let installation = Installation::install(&cluster, options(1, &[])).await?;
    let replica = &installation.replicas()[0];
    replica.wait_ready(PATIENCE).await?;
    wait_note(&cluster, "it is \"other\", which is left as it is").await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    wait_extension_label(&cluster, Some("other")).await?;
    assert_eq!(notes(&cluster).await?.len(), 1);
    let gauge = || async {
        let text = replica.get("/metrics").await?;
        metric(&text, "linkerd_failover_namespace_labelled").context("no such metric")
    };
    wait_metric(replica, "linkerd_failover_namespace_labelled", 0.0).await?;

    // A right that is missing, and comes.
    let rules = ["get", "clusterrole", NAME, "-o", "json"];
    let role: serde_json::Value = serde_json::from_str(&cluster.kubectl(rules).ok().await?)?;
    let rules = role["rules"].as_array().context("no rules")?;
    let position = rules.iter().position(|rule| rule["resources"][0] == "namespaces");
    let path = format!("/rules/{}/verbs", position.context("no rule for namespaces")?);
    let verbs = |verbs: &str| {
        let patch = format!(r#"[{{"op":"replace","path":"{path}","value":{verbs}}}]"#);
        cluster.kubectl(["patch", "clusterrole", NAME, "--type=json", "-p"]).args([patch]).ok()
    };
    verbs(r#"["get","list","watch"]"#).await?;
    cluster.kubectl(["label", "namespace", NAME, "linkerd.io/extension-"]).ok().await?;
    wait_note(&cluster, "could not be labelled, which is tried again").await?;
    verbs(r#"["get","list","watch","patch"]"#).await?;
    wait_extension_label(&cluster, Some("failover")).await?;
    eventually("the metric follows", PATIENCE, || async {
        let labelled = gauge().await?;
        ensure!(labelled == 1.0, "{labelled}");
        Ok(())
    })
    .await
}
