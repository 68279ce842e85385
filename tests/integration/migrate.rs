//! `linkerd-failover migrate`, piped to a real API server with the Gateway API.

use crate::stage::{cluster, splits};
use anyhow::Result;
use kube::api::PostParams;
use serde_json::{Value, json};
use test_cluster::{Cluster, Invocation};

const MIGRATE: &str = concat!(env!("CARGO_BIN_EXE_linkerd-failover"), " migrate");

const SERVICES: &str = "
apiVersion: v1
kind: Service
metadata: {name: emoji-svc, namespace: emojivoto}
spec: {ports: [{name: http, port: 80}, {name: grpc, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: web-svc, namespace: emojivoto}
spec: {ports: [{port: 80}]}
";

/// Values that a reader of YAML takes for something else when they are not quoted well.
const VALUES: [&str; 16] = [
    "",
    "yes",
    "n",
    "~",
    "12:30:45",
    "0x1F",
    "1_000",
    "1e3",
    ".inf",
    "2026-11-21",
    "=",
    "<<",
    "# no comment",
    " space ",
    "two\nlines\n",
    "{\"v\":1,\"a\":\"é: - 'x' \\\\ \\t\"}",
];

fn split(name: &str, annotations: &Value) -> Value {
    json!({
        "apiVersion": "split.smi-spec.io/v1alpha2",
        "kind": "TrafficSplit",
        "metadata": {"name": name, "namespace": "emojivoto", "annotations": annotations},
        "spec": {"service": format!("{name}-svc"), "backends": [
            {"service": format!("{name}-svc"), "weight": 0.75},
            {"service": format!("{name}-svc-west"), "weight": 0.25},
        ]},
    })
}

/// Two Services, a split for each.
async fn stage(annotations: &Value) -> Result<Cluster> {
    let cluster = cluster().await?;
    cluster.install_gateway_api_crds().await?;
    cluster.kubectl(["create", "namespace", "emojivoto"]).ok().await?;
    cluster.apply(SERVICES).await?;
    let api = splits(&cluster, "emojivoto");
    for name in ["emoji", "web"] {
        let split = serde_json::from_value(split(name, annotations))?;
        api.create(&PostParams::default(), &split).await?;
    }
    Ok(cluster)
}

fn sh(cluster: &Cluster, script: &str) -> Invocation {
    cluster.sh(&script.replace("MIGRATE", MIGRATE))
}

/// The routes of a kind, each as name, parent's port, and backends.
async fn routes(cluster: &Cluster, kind: &str) -> Result<Vec<Value>> {
    let path = format!("/apis/gateway.networking.k8s.io/v1/namespaces/emojivoto/{kind}");
    let list: Value = serde_json::from_str(&cluster.get_raw(&path).await?)?;
    let summary = |route: &Value| {
        let spec = &route["spec"];
        let backends = spec["rules"][0]["backendRefs"].as_array().cloned().unwrap_or_default();
        let backends: Vec<_> =
            backends.iter().map(|b| json!([b["name"], b["port"], b["weight"]])).collect();
        json!([route["metadata"]["name"], spec["parentRefs"][0]["port"], backends])
    };
    Ok(list["items"].as_array().into_iter().flatten().map(summary).collect())
}

#[tokio::test]
async fn what_is_printed_of_live_splits_can_be_applied_as_it_is() -> Result<()> {
    let annotations: serde_json::Map<String, Value> =
        VALUES.iter().enumerate().map(|(i, v)| (format!("example.com/v{i}"), json!(v))).collect();
    let annotations = Value::Object(annotations);
    let cluster = stage(&annotations).await?;

    let live = "kubectl get trafficsplits -A -o yaml | MIGRATE -f - | kubectl apply -f -";
    sh(&cluster, live).ok().await?;
    let backends = |name: &str, port: u16| {
        json!([[format!("{name}-svc"), port, 3], [format!("{name}-svc-west"), port, 1]])
    };
    assert_eq!(
        routes(&cluster, "httproutes").await?,
        [
            json!(["emoji-80", 80, backends("emoji", 80)]),
            json!(["emoji-8080", 8080, backends("emoji", 8080)]),
            json!(["web", 80, backends("web", 80)]),
        ]
    );
    let web = cluster.kubectl(["get", "httproute", "web", "-n", "emojivoto", "-o", "json"]);
    let mut web: Value = serde_json::from_str(&web.ok().await?)?;
    let applied = "kubectl.kubernetes.io/last-applied-configuration";
    let kept = web["metadata"]["annotations"].as_object_mut().map(|kept| kept.remove(applied));
    assert!(kept.is_some());
    assert_eq!(web["metadata"]["annotations"], annotations);

    let grpc = "kubectl get trafficsplit web -n emojivoto -o json \
                | MIGRATE -f - --kind grpcroute --port 9000 | kubectl apply -f -";
    sh(&cluster, grpc).ok().await?;
    let expected = json!(["web", 9000, backends("web", 9000)]);
    assert_eq!(routes(&cluster, "grpcroutes").await?, [expected]);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_migrated_fails_the_command_and_spoils_nothing_else() -> Result<()> {
    let cluster = stage(&json!({})).await?;
    cluster.kubectl(["delete", "service", "emoji-svc", "-n", "emojivoto"]).ok().await?;

    let live = "kubectl get trafficsplits -A -o yaml | MIGRATE -f -";
    let output = sh(&cluster, live).output().await?;
    assert_eq!(output.status.code(), Some(1));
    let place =
        "-: document 1: item 1: TrafficSplit emojivoto/emoji: spec.service: found emoji-svc";
    assert!(output.stderr.contains(place), "{}", output.stderr);
    assert!(output.stderr.contains("not found (404)"), "{}", output.stderr);
    cluster.apply(&output.stdout).await?;
    assert_eq!(routes(&cluster, "httproutes").await?.len(), 1);

    // Without a cluster.
    let output = sh(&cluster, live).env("LINKERD_FAILOVER_KUBECONFIG", "/nowhere").output().await?;
    assert_eq!((output.status.code(), output.stdout.as_str()), (Some(1), ""));
    assert!(output.stderr.contains("give --port"), "{}", output.stderr);
    let with_port = format!("{live} --port 80");
    let output = sh(&cluster, &with_port).env("LINKERD_FAILOVER_KUBECONFIG", "/nowhere");
    assert_eq!(output.ok().await?.matches("kind: HTTPRoute").count(), 2);
    Ok(())
}
