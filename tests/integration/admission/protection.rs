//! `protection: seamless`: what is added to a route, kept and taken back, by every way to apply; the default of a
//! namespace; and a split, which has no retries.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use kube::core::DynamicObject;
use linkerd_failover::kinds::Kind;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use test_cluster::{Cluster, Installation, Workload, eventually};

const HTTP: (&str, &str) = ("retry.linkerd.io/http", "gateway-error");
const LIMIT: (&str, &str) = ("retry.linkerd.io/limit", "2");
const RECORD: (&str, &str) =
    ("failover.linkerd.io/added", "retry.linkerd.io/http=gateway-error,retry.linkerd.io/limit=2");
const SEAMLESS: (&str, &str) = ("failover.linkerd.io/protection", "seamless");
const OURS: [(&str, &str); 3] = [RECORD, HTTP, LIMIT];

const APPLY: &[&str] = &["apply", "-f", "-"];
const ARGO: &[&str] = &[
    "apply",
    "--server-side",
    "--force-conflicts",
    "--field-manager=argocd-controller",
    "-f",
    "-",
];
const REPLACE: &[&str] = &["replace", "-f", "-"];

/// The manifest of a route with these annotations.
fn manifest(annotations: &[(&str, &str)]) -> Value {
    let mut route = route(Kind::HttpRoute, &[("", &["emoji-svc", "emoji-svc-west"])]);
    let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
    route["metadata"]["annotations"] = json!(annotations);
    route
}

/// What stands in a route of retries, and of ours.
fn retries(route: &DynamicObject) -> Vec<(&str, &str)> {
    let all = route.metadata.annotations.iter().flatten();
    let all = all.map(|(name, value)| (name.as_str(), value.as_str()));
    all.filter(|(name, _)| name.starts_with("retry.linkerd.io/") || *name == RECORD.0).collect()
}

/// Brings a manifest to the cluster. Returns the warnings.
async fn bring(workload: &Workload<'_>, how: &[&str], manifest: &Value) -> Result<String> {
    let output = workload.kubectl(how.iter().copied()).stdin(manifest.to_string()).output().await?;
    ensure!(output.status.success(), "{how:?}: {}", output.stderr);
    Ok(output.stderr)
}

async fn expect(routes: &Api<DynamicObject>, expected: &[(&str, &str)], why: &str) -> Result<()> {
    let route = routes.get("emoji").await?;
    ensure!(retries(&route) == expected, "{why}: {:?}", retries(&route));
    Ok(())
}

async fn delete_route(workload: &Workload<'_>) -> Result<()> {
    workload.kubectl(["delete", "httproutes.gateway.networking.k8s.io", "emoji"]).ok().await?;
    Ok(())
}

async fn apply_in_every_way(workload: &Workload<'_>, routes: &Api<DynamicObject>) -> Result<()> {
    let seamless = manifest(&[SEAMLESS]);
    let reply = bring(workload, APPLY, &seamless).await?;
    ensure!(reply.contains("were added; a retried request may have reached the pod"), "{reply}");
    expect(routes, &OURS, "added").await?;
    wait_rules(routes, "emoji", &[vec![1_000_000, 1]]).await?;

    for how in [APPLY, REPLACE, ARGO, APPLY] {
        let reply = bring(workload, how, &seamless).await?;
        ensure!(!reply.contains("retry.linkerd.io"), "{how:?}: {reply}");
        expect(routes, &OURS, "kept").await?;
    }
    let diff = ["diff", "--server-side", "--force-conflicts", "--field-manager=argocd-controller"];
    let diff = workload.kubectl(diff).args(["-f", "-"]).stdin(seamless.to_string());
    let diff = diff.output().await?;
    ensure!(diff.status.success(), "no difference is shown: {}", diff.stdout);

    // Equal ones that the author names are his, whatever becomes of the annotation.
    bring(workload, ARGO, &manifest(&[SEAMLESS, HTTP, LIMIT])).await?;
    expect(routes, &[HTTP, LIMIT], "named by Argo CD").await?;
    delete_route(workload).await?;
    bring(workload, APPLY, &seamless).await?;
    bring(workload, APPLY, &manifest(&[SEAMLESS, HTTP, LIMIT])).await?;
    expect(routes, &[HTTP, LIMIT], "named by kubectl apply").await?;
    bring(workload, APPLY, &manifest(&[HTTP, LIMIT])).await?;
    expect(routes, &[HTTP, LIMIT], "his without the annotation").await?;
    bring(workload, APPLY, &seamless).await?;
    expect(routes, &OURS, "he names them no more").await?;

    // The annotation goes, and the label.
    let reply = bring(workload, APPLY, &manifest(&[])).await?;
    ensure!(reply.contains("were taken back"), "{reply}");
    expect(routes, &[], "without the annotation").await?;
    wait_rules(routes, "emoji", &[vec![1, 0]]).await?;
    bring(workload, APPLY, &seamless).await?;
    expect(routes, &OURS, "the annotation is back").await?;
    let unlabel = ["label", "httproutes.gateway.networking.k8s.io", "emoji"];
    let unlabel = workload.kubectl(unlabel).args(["failover.linkerd.io/controlled-by-"]);
    unlabel.ok().await?;
    expect(routes, &[], "without the label").await?;
    delete_route(workload).await
}

/// Runs the command that an Event gives.
async fn run_given(workload: &Workload<'_>, note: &str) -> Result<()> {
    let (_, command) = note.split_once("at once by: kubectl ").context("a command")?;
    let (command, _) = command.split_once('}').context("its end")?;
    let command = format!("{command}}}").replace('\'', "");
    workload.kubectl(command.split(' ')).ok().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_come_and_go_with_one_annotation_on_a_route_or_its_namespace_and_a_split_has_none()
-> Result<()> {
    let cluster = cluster().await?;
    cluster.install_gateway_api_crds().await?;
    let installation = install_for_routes(&cluster, 1).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let routes = routes(&cluster, Kind::HttpRoute);
    apply_in_every_way(&workload, &routes).await?;

    // The namespace asks: the share comes at once, retries at the next apply, and an Event says so.
    let protect = |value: &'static str| {
        let annotate = cluster.kubectl(["annotate", "--overwrite", "namespace", "emojivoto"]);
        annotate.args([format!("failover.linkerd.io/protection{value}")]).ok()
    };
    bring(&workload, APPLY, &manifest(&[])).await?;
    wait_rules(&routes, "emoji", &[vec![1, 0]]).await?;
    protect("=seamless").await?;
    wait_rules(&routes, "emoji", &[vec![1_000_000, 1]]).await?;
    expect(&routes, &[], "not yet").await?;
    let note = wait_event(&workload, "emoji", "ProtectionIncomplete", "Warning").await?;
    ensure!(note.contains("are added by the webhook at the next apply"), "{note}");
    let incomplete = "linkerd_failover_protection_incomplete_objects";
    wait_metric_of_all(&installation, incomplete, 1.0).await?;
    run_given(&workload, &note).await?;
    expect(&routes, &OURS, "by the command of the Event").await?;
    wait_metric_of_all(&installation, incomplete, 0.0).await?;

    // A split has the share alone, and the warning prints its route.
    bring(&workload, &["delete", "-f", "-"], &manifest(&[])).await?;
    let split = emoji();
    let reply = workload.kubectl(APPLY.iter().copied()).stdin(split.clone()).output().await?;
    ensure!(reply.stderr.contains("linkerd-failover migrate -f -"), "{}", reply.stderr);
    let splits = splits(&cluster, "emojivoto");
    let stored = wait_weights(&splits, "emoji", &[429_495.0, 1.0]).await?;
    ensure!(retries(&stored).is_empty(), "{:?}", retries(&stored));

    // What cannot be read is ignored, and warned about.
    protect("=full").await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    eventually("a warning about the namespace", PATIENCE, || async {
        // What is the same already, kubectl apply does not send.
        let reply = workload.kubectl(REPLACE.iter().copied()).stdin(split.clone()).output().await?;
        ensure!(reply.stderr.contains(r#""full" on namespace emojivoto"#), "{}", reply.stderr);
        Ok(())
    })
    .await?;
    wait_metric_of_all(&installation, incomplete, 1.0).await?;
    protect("-").await?;
    wait_metric_of_all(&installation, incomplete, 0.0).await
}

/// Replaces what the program may do with namespaces.
async fn set_verbs(cluster: &Cluster, verbs: &[&str]) -> Result<()> {
    let role =
        cluster.kubectl(["get", "clusterrole", "linkerd-failover", "-o", "json"]).ok().await?;
    let role: Value = serde_json::from_str(&role)?;
    let rules = role["rules"].as_array().context("no rules")?;
    let is_of_all = |rule: &Value| {
        rule["resources"] == json!(["namespaces"]) && rule["resourceNames"].is_null()
    };
    let position = rules.iter().position(is_of_all).context("no rule for namespaces")?;
    let path = format!("/rules/{position}/verbs");
    let patch = json!([{"op": "replace", "path": path, "value": verbs}]).to_string();
    cluster
        .kubectl(["patch", "clusterrole", "linkerd-failover", "--type=json", "-p"])
        .args([patch])
        .ok()
        .await?;
    Ok(())
}

async fn wait_not_read(cluster: &Cluster) -> Result<()> {
    let events: Api<Event> = Api::namespaced(cluster.client(), "linkerd-failover");
    eventually("an Event about namespaces", PATIENCE, || async {
        let all = events.list(&ListParams::default()).await?.items.into_iter();
        let mut ours = all.filter(|event| event.reason.as_deref() == Some("NamespacesNotRead"));
        let note = ours.next().and_then(|event| event.note).context("none yet")?;
        ensure!(note.contains("may not list namespaces"), "{note}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_a_namespace_asks_for_stays_while_namespaces_may_not_be_read() -> Result<()> {
    let cluster = cluster().await?;
    let installation = Installation::install(&cluster, options(1, &[])).await?;
    installation.wait_ready(PATIENCE).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let protection = "failover.linkerd.io/protection=seamless";
    cluster.kubectl(["annotate", "namespace", "emojivoto", protection]).ok().await?;
    workload.apply(&emoji()).await?;
    let splits = splits(&cluster, "emojivoto");
    wait_weights(&splits, "emoji", &[429_495.0, 1.0]).await?;

    // As after an upgrade that kept the ClusterRole of an older version.
    let replica = &installation.replicas()[0];
    set_verbs(&cluster, &["get"]).await?;
    replica.restart().await?;
    replica.wait_ready(PATIENCE).await?;
    wait_not_read(&cluster).await?;
    wait_metric(replica, "linkerd_failover_namespaces_known", 0.0).await?;
    wait_weights(&splits, "emoji", &[429_495.0, 1.0]).await?;

    set_verbs(&cluster, &["get", "list", "watch"]).await?;
    wait_metric(replica, "linkerd_failover_namespaces_known", 1.0).await?;
    let none = "failover.linkerd.io/protection-";
    cluster.kubectl(["annotate", "namespace", "emojivoto", none]).ok().await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    Ok(())
}
