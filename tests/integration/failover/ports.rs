//! Services with several ports, pods that lack some of them, and Services that change.

use crate::support::*;
use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};
use std::time::Duration;
use test_cluster::Workload;

/// Longer than a move takes, by far.
const SETTLED: Duration = Duration::from_secs(3);

/// Where kwok lets pods run.
const NODE: &str = "kwok";

/// A Deployment of pods with these named ports, behind a Service of another name.
fn app(name: &str, service: &str, ports: &[(&str, u16)]) -> Value {
    let labels = json!({"app": service, "part": name});
    let port = |(name, port): &(&str, u16)| json!({"name": name, "containerPort": port});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "emojivoto"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "nodeName": NODE,
                    "terminationGracePeriodSeconds": 0,
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [{"name": "app", "image": "app:1",
                        "ports": ports.iter().map(port).collect::<Vec<_>>()}],
                },
            },
        },
    })
}

/// A Service of these ports, each of which leads to the pods' port of that name.
fn service(name: &str, ports: &[(&str, u16)]) -> Value {
    let port = |(name, port): &(&str, u16)| json!({"name": name, "port": port, "targetPort": name});
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "emojivoto"},
        "spec": {"selector": {"app": name}, "ports": ports.iter().map(port).collect::<Vec<_>>()},
    })
}

/// A Service without selector.
fn by_hand(name: &str, ports: &[(&str, u16)]) -> Value {
    let port = |(name, port): &(&str, u16)| json!({"name": name, "port": port});
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "emojivoto"},
        "spec": {"ports": ports.iter().map(port).collect::<Vec<_>>()},
    })
}

/// A slice of a Service: its ports, and whether its endpoints are ready.
fn slice(name: &str, service: &str, ports: &[(&str, u16)], ready: &[bool]) -> Value {
    let port = |(name, port): &(&str, u16)| json!({"name": name, "port": port});
    let net = name.bytes().fold(0_u8, |net, byte| net.wrapping_mul(31).wrapping_add(byte));
    let endpoint = |(i, ready): (usize, &bool)| json!({"addresses": [format!("10.{net}.0.{}", i + 1)], "conditions": {"ready": ready}});
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": "emojivoto",
            "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "ports": ports.iter().map(port).collect::<Vec<_>>(),
        "endpoints": ready.iter().enumerate().map(endpoint).collect::<Vec<_>>(),
    })
}

async fn apply(workload: &Workload<'_>, objects: &[Value]) -> Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    workload.apply(&list.to_string()).await?;
    Ok(())
}

async fn stays(splits: &Api<DynamicObject>, name: &str, wanted: &[f64], why: &str) -> Result<()> {
    tokio::time::sleep(SETTLED).await;
    let found = weights(&splits.get(name).await?);
    ensure!(found == wanted, "{why}: {found:?}");
    Ok(())
}

fn annotated(split: &str, name: &str, value: &str) -> String {
    let with = format!("  annotations:\n    failover.linkerd.io/{name}: \"{value}\"\n  labels:");
    split.replace("  labels:", &with)
}

const WEB: (&str, u16) = ("web", 80);
const ADM: (&str, u16) = ("adm", 81);

#[tokio::test(flavor = "multi_thread")]
async fn two_apps_with_a_port_each_behind_one_service_are_ready_and_the_loss_of_one_outlives_a_restart()
-> Result<()> {
    let cluster = cluster().await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    apply(
        &workload,
        &[
            service("shop", &[WEB, ADM]),
            app("shop-web", "shop", &[WEB]),
            app("shop-adm", "shop", &[ADM]),
            service("shop-b", &[WEB, ADM]),
            app("both", "shop-b", &[WEB, ADM]),
        ],
    )
    .await?;
    workload.wait_endpoints("shop", 2).await?;
    workload.wait_endpoints("shop-b", 1).await?;
    workload.apply(&manifest("shop", "shop", &["shop-b"])).await?;
    let installation = install(&cluster, 1, &[]).await?;
    let splits = splits(&cluster, "emojivoto");
    stays(&splits, "shop", &[1.0, 0.0], "no slice offers both ports").await?;

    // A release that names a port which no pod has.
    apply(&workload, &[service("shop", &[WEB, ADM, ("log", 82)])]).await?;
    stays(&splits, "shop", &[1.0, 0.0], "a port that was never served").await?;
    test_cluster::eventually("the webhook knows of the port", PATIENCE, || async {
        let apply = workload.kubectl(["apply", "--dry-run=server", "-f", "-"]);
        let warned = apply.stdin(manifest("again", "shop", &["shop-b"])).output().await?;
        ensure!(warned.stderr.contains("none offers port log"), "{}", warned.stderr);
        Ok(())
    })
    .await?;
    apply(&workload, &[service("shop", &[WEB, ADM])]).await?;

    workload.scale("shop-adm", 0).await?;
    let moved = wait_weights(&splits, "shop", &[0.0, 1.0]).await?;
    let set = state(&moved).unwrap().sets[""].clone();
    assert_eq!(set.short["shop"], [["adm"]]);
    assert!(set.why.contains("shop: 1 endpoint, none offers port adm"), "{}", set.why);
    let note = wait_event(&workload, "shop", "Failover", "Warning").await?;
    assert!(note.contains("none offers port adm"), "{note}");

    let replica = &installation.replicas()[0];
    replica.process().terminate(Duration::from_secs(40)).await?;
    replica.restart().await?;
    replica.wait_ready(PATIENCE).await?;
    stays(&splits, "shop", &[0.0, 1.0], "a restart forgets the loss").await?;
    workload.scale("shop-adm", 1).await?;
    wait_weights(&splits, "shop", &[1.0, 0.0]).await?;

    // The fallback lacks the port now: nothing is gained there.
    apply(&workload, &[app("both", "shop-b", &[WEB])]).await?;
    let slices = || async {
        let get =
            ["get", "endpointslices", "-l", "kubernetes.io/service-name=shop-b", "-o", "json"];
        let list: Value = serde_json::from_str(&workload.kubectl(get).ok().await?)?;
        let text = list["items"].to_string();
        ensure!(text.contains("\"web\"") && !text.contains("\"adm\""), "{text}");
        Ok::<_, anyhow::Error>(())
    };
    test_cluster::eventually("the rollout of the fallback is over", PATIENCE, slices).await?;
    workload.scale("shop-adm", 0).await?;
    let note = wait_event(&workload, "shop", "PortNotServed", "Warning").await?;
    assert!(note.contains("port adm of shop-b is offered no more since a release"), "{note}");
    stays(&splits, "shop", &[1.0, 0.0], "a fallback without the lost port").await?;
    let short = "linkerd_failover_objects_short_of_a_port";
    wait_metric(&installation.replicas()[0], short, 1.0).await?;
    workload.scale("shop-web", 0).await?;
    wait_weights(&splits, "shop", &[0.0, 1.0]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_port_is_renamed_is_not_down_before_its_slices_could_follow() -> Result<()>
{
    let cluster = cluster().await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    let fallback = [by_hand("shop-b", &[WEB]), slice("shop-b", "shop-b", &[WEB], &[true])];
    apply(&workload, &fallback).await?;
    let renamed = ("http", 80);
    for name in ["follows", "stays"] {
        apply(&workload, &[by_hand(name, &[WEB]), slice(name, name, &[WEB], &[true])]).await?;
        let split = manifest(name, name, &["shop-b"]);
        workload.apply(&annotated(&split, "failback", "manual")).await?;
    }
    let _installation = install(&cluster, 2, &[]).await?;
    let splits = splits(&cluster, "emojivoto");
    stays(&splits, "follows", &[1.0, 0.0], "before anything").await?;

    // Without kubectl, which takes a busy machine longer to start than slices are waited for.
    let rename = |at: &str| {
        let patch = json!([{"op": "replace", "path": format!("{at}/0/name"), "value": renamed.0}]);
        serde_json::from_value(patch).map(Patch::Json::<()>)
    };
    let params = PatchParams::default();
    workload.api::<Service>().patch("follows", &params, &rename("/spec/ports")?).await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    workload.api::<EndpointSlice>().patch("follows", &params, &rename("/ports")?).await?;
    stays(&splits, "follows", &[1.0, 0.0], "the slices have followed").await?;

    let began = std::time::Instant::now();
    apply(&workload, &[by_hand("stays", &[renamed])]).await?;
    wait_weights(&splits, "stays", &[0.0, 1.0]).await?;
    let took = began.elapsed();
    ensure!(took > Duration::from_millis(4_500), "left after {took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_percentage_is_of_those_that_could_serve_and_a_backend_without_the_port_is_the_last_resort()
-> Result<()> {
    let cluster = cluster().await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    apply(
        &workload,
        &[
            by_hand("api", &[WEB]),
            slice("api-pods", "api", &[WEB], &[true, true]),
            slice("workers", "api", &[], &[true, true]),
            by_hand("api-b", &[WEB]),
            slice("api-b", "api-b", &[WEB], &[true]),
            // Callers of api ask it for port 80.
            by_hand("odd", &[("other", 9999)]),
            slice("odd", "odd", &[("other", 9999)], &[true]),
        ],
    )
    .await?;
    let split = manifest("api", "api", &["odd", "api-b"]);
    let split = annotated(&split, "min-ready", "60%");
    let ordered = split.replace(
        "  annotations:",
        "  annotations:\n    failover.linkerd.io/fallback-order: odd,api-b",
    );
    workload.apply(&ordered).await?;
    let _installation = install(&cluster, 1, &[]).await?;
    let splits = splits(&cluster, "emojivoto");
    stays(&splits, "api", &[1.0, 0.0, 0.0], "both that can serve are ready").await?;
    let note = wait_event(&workload, "api", "PortNotServed", "Warning").await?;
    assert!(note.contains("odd has no port 80"), "{note}");

    // One of two is fewer than 60%, three of four would not be.
    apply(&workload, &[slice("api-pods", "api", &[WEB], &[true, false])]).await?;
    wait_weights(&splits, "api", &[0.0, 0.0, 1.0]).await?;
    apply(&workload, &[slice("api-pods", "api", &[WEB], &[true, true])]).await?;
    wait_weights(&splits, "api", &[1.0, 0.0, 0.0]).await?;
    // The workers alone serve nothing.
    workload.kubectl(["delete", "endpointslice", "api-pods"]).ok().await?;
    let moved = wait_weights(&splits, "api", &[0.0, 0.0, 1.0]).await?;
    let why = &state(&moved).unwrap().sets[""].why;
    assert!(why.contains("api: 2 endpoints, none offers port web"), "{why}");
    // With nothing else left, what may listen there is tried.
    workload.kubectl(["delete", "endpointslice", "api-b"]).ok().await?;
    wait_weights(&splits, "api", &[0.0, 1.0, 0.0]).await?;
    Ok(())
}
