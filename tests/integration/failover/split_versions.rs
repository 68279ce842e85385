//! Kinds as clusters serve them: TrafficSplits in any of their versions, and the HTTPRoute of another
//! group, which is not failed over.

use crate::support::*;
use anyhow::{Result, ensure};
use kube::Api;
use kube::api::ApiResource;
use kube::core::{DynamicObject, GroupVersionKind};
use serde_json::{Value, json};
use test_cluster::{Cluster, eventually};

const GROUP: &str = "split.smi-spec.io";
const VERSIONS: [&str; 4] = ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"];

/// The CRD with its four versions, of which these are served; the newest two have `matches`, and whole
/// numbers as weights.
fn definition(served: &[&str]) -> String {
    let version = |name: &&str| {
        let newer = ["v1alpha3", "v1alpha4"].contains(name);
        let weight = match newer {
            true => json!({"type": "integer"}),
            false => json!({"x-kubernetes-int-or-string": true}),
        };
        let backend = json!({"type": "object", "properties": {
            "service": {"type": "string"}, "weight": weight,
        }});
        let matched = json!({"type": "object", "properties": {
            "kind": {"type": "string"}, "name": {"type": "string"},
        }});
        let mut spec = json!({
            "service": {"type": "string"}, "backends": {"type": "array", "items": backend},
        });
        if newer {
            spec["matches"] = json!({"type": "array", "items": matched});
        }
        let spec = json!({"type": "object", "properties": spec});
        json!({
            "name": name, "served": served.contains(name), "storage": *name == "v1alpha4",
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
        })
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("trafficsplits.{GROUP}")},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": "TrafficSplit", "plural": "trafficsplits", "singular": "trafficsplit"},
            "versions": VERSIONS.iter().map(version).collect::<Vec<_>>(),
        },
    })
    .to_string()
}

async fn serve(cluster: &Cluster, served: &[&str]) -> Result<()> {
    cluster.apply(&definition(served)).await?;
    eventually(&format!("{served:?} are served"), PATIENCE, || async {
        for version in VERSIONS {
            let list = format!("/apis/{GROUP}/{version}/trafficsplits?limit=1");
            let is = cluster.get_raw(&list).await.is_ok();
            ensure!(is == served.contains(&version), "{version}: {is}");
        }
        Ok(())
    })
    .await
}

fn api(cluster: &Cluster, version: &str) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk(GROUP, version, "TrafficSplit");
    Api::namespaced_with(cluster.client(), "emojivoto", &ApiResource::from_gvk(&gvk))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_fails_over_in_whichever_version_the_cluster_serves_now() -> Result<()> {
    let cluster = bare_cluster().await?;
    serve(&cluster, &["v1alpha4"]).await?;
    let values = ["webhook.admissionPolicy.enabled=true"];
    let installation = test_cluster::Installation::install(&cluster, options(1, &values)).await?;
    installation.wait_ready(PATIENCE).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let newest = |text: String| text.replace("v1alpha2", "v1alpha4");
    let bad = newest(emoji()).replace("emoji-svc-west", "emoji-svc-wset");
    eventually("a bad split is refused", PATIENCE, || async {
        let create = workload.kubectl(["create", "--dry-run=server", "-f", "-"]);
        let reply = create.stdin(bad.clone()).output().await?.stderr;
        ensure!(reply.contains("denied the request"), "{reply}");
        Ok(())
    })
    .await?;

    let matches = "spec:\n  matches:\n  - {kind: HTTPRouteGroup, name: some}\n";
    let split = newest(emoji()).replace("spec:\n", matches);
    let applied = workload.kubectl(["apply", "-f", "-"]).stdin(split).output().await?;
    ensure!(applied.stderr.contains("spec.matches"), "{}", applied.stderr);
    workload.scale("emoji", 0).await?;
    let splits = api(&cluster, "v1alpha4");
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;

    // The versions change while the program runs.
    serve(&cluster, &["v1alpha1"]).await?;
    workload.scale("emoji", 1).await?;
    wait_weights(&api(&cluster, "v1alpha1"), "emoji", &[1.0, 0.0]).await?;

    // A better one beside it: what only that one has is not lost by a write.
    serve(&cluster, &["v1alpha3", "v1alpha4"]).await?;
    let lossless = json!({"spec": {"matches": [{"kind": "HTTPRouteGroup", "name": "some"}]}});
    let patch =
        ["patch", "trafficsplits.v1alpha4.split.smi-spec.io", "emoji", "--type=merge", "-p"];
    eventually("the author gives it matches again", PATIENCE, || async {
        workload.kubectl(patch).args([lossless.to_string()]).ok().await.map(drop)
    })
    .await?;
    workload.scale("emoji", 0).await?;
    let split = wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    assert_eq!(split.data["spec"]["matches"][0]["name"], "some", "{:?}", split.data);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_better_version_that_comes_beside_the_one_in_use_is_taken() -> Result<()> {
    let cluster = bare_cluster().await?;
    serve(&cluster, &["v1alpha1", "v1alpha2"]).await?;
    let (_installation, proxy) = install_behind_a_proxy(&cluster).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    workload.apply(&emoji()).await?;
    serve(&cluster, &VERSIONS).await?;
    eventually("the better version is watched", PATIENCE, || async {
        let requests = proxy.requests("v1alpha4/trafficsplits");
        ensure!(requests >= 2, "{requests} requests");
        Ok::<_, anyhow::Error>(())
    })
    .await?;
    let split = emoji().replace("v1alpha2", "v1alpha4");
    let split =
        split.replace("spec:\n", "spec:\n  matches:\n  - {kind: HTTPRouteGroup, name: some}\n");
    workload.apply(&split).await?;
    workload.scale("emoji", 0).await?;
    let split = wait_weights(&api(&cluster, "v1alpha4"), "emoji", &[0.0, 1.0]).await?;
    assert_eq!(split.data["spec"]["matches"][0]["name"], "some", "{:?}", split.data);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_labelled_route_of_policy_linkerd_io_is_reported_as_not_failed_over() -> Result<()> {
    let cluster = cluster().await?;
    cluster.apply(&crd("policy.linkerd.io", "v1beta3", "HTTPRoute")).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let route = |name: &str, labels: Value| {
        json!({
            "apiVersion": "policy.linkerd.io/v1beta3", "kind": "HTTPRoute",
            "metadata": {"name": name, "namespace": "emojivoto", "labels": labels},
            "spec": {"rules": []},
        })
        .to_string()
    };
    let ours = || json!({"failover.linkerd.io/controlled-by": "linkerd-failover"});
    eventually("a route is taken", PATIENCE, || async {
        workload.apply(&route("before", ours())).await.map(drop)
    })
    .await?;
    let installation = install(&cluster, 1, &[]).await?;
    let note = wait_event(&workload, "before", "NotManaged", "Warning").await?;
    for words in [
        "httproutes.policy.linkerd.io emojivoto/before matches failover.linkerd.io/controlled-by=linkerd-failover",
        "httproutes.gateway.networking.k8s.io",
        "trafficsplits.split.smi-spec.io",
    ] {
        ensure!(note.contains(words), "{note}");
    }
    wait_metric(&installation.replicas()[0], "linkerd_failover_policy_routes", 1.0).await?;

    let dry_run = |text: String| {
        let apply = workload.kubectl(["apply", "--dry-run=server", "-f", "-"]).stdin(text);
        async { apply.output().await }
    };
    let warned = dry_run(route("new", ours())).await?;
    ensure!(warned.status.success(), "{}", warned.stderr);
    ensure!(warned.stderr.contains("this kind is not failed over"), "{}", warned.stderr);
    let silent = dry_run(route("other", json!({}))).await?;
    assert_eq!(silent.stderr, "");
    // Nobody is refused what is not managed where no replica answers.
    installation.webhook_down()?;
    workload.apply(&route("while-down", ours())).await?;
    Ok(())
}
