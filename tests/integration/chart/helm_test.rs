//! What `helm test` runs. No kubelet runs its Pod here, so its script is run with the same kubectl,
//! as the Pod's ServiceAccount.

use crate::support::*;
use anyhow::{Context, Result};
use serde_json::Value;
use test_cluster::{Cluster, eventually};

/// Applies what the Pod needs, as helm does before it; returns the Pod.
async fn prepared(cluster: &Cluster, values: &[&str]) -> Result<Value> {
    let mut helm = cluster
        .helm(["template", "linkerd-failover", CHART, "-n", "linkerd-failover"])
        .args(["-s", "templates/tests/dry-run.yaml"]);
    for value in values {
        helm = helm.args(["--set", value]);
    }
    let rendered = helm.ok().await?;
    let create = ["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-"];
    let json = cluster.kubectl(create).stdin(rendered).ok().await?;
    let read = serde_json::Deserializer::from_str(&json).into_iter::<Value>();
    let mut pod = None;
    for object in read {
        let object = object?;
        if object["kind"] == "Pod" {
            // As the API server decides it.
            let apply = ["apply", "--dry-run=server", "-f", "-"];
            cluster.kubectl(apply).stdin(object.to_string()).ok().await?;
            pod = Some(object);
        } else {
            cluster.apply(&object.to_string()).await?;
        }
    }
    pod.context("helm test has no Pod")
}

async fn run(cluster: &Cluster, pod: &Value) -> Result<(bool, String)> {
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["command"], serde_json::json!(["sh", "-eu", "-c"]));
    let script = container["args"][0].as_str().context("no script")?;
    let namespace = pod["metadata"]["namespace"].as_str().context("no namespace")?;
    let account = pod["spec"]["serviceAccountName"].as_str().context("no account")?;
    let user = format!("system:serviceaccount:{namespace}:{account}");
    let script = format!("kubectl() {{ command kubectl --as={user} \"$@\"; }}\n{script}");
    let output = cluster.sh(&script).output().await?;
    Ok((output.status.success(), output.stdout + &output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_test_passes_while_the_webhook_validates_and_fails_while_it_does_not() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &["webhook.failurePolicy.validating=Ignore"]).await?;
    let pod = prepared(&cluster, &[]).await?;
    eventually("helm test passes", PATIENCE, || async {
        let (passed, reply) = run(&cluster, &pod).await?;
        anyhow::ensure!(passed && reply.contains("pin-until"), "{reply}");
        Ok(())
    })
    .await?;
    cluster.install_gateway_api_crds().await?;
    eventually("helm test passes with routes too", PATIENCE, || async {
        let (passed, reply) = run(&cluster, &pod).await?;
        let both = reply.contains("A good split") && reply.contains("A good route");
        anyhow::ensure!(passed && both, "{reply}");
        Ok(())
    })
    .await?;

    installation.webhook_down()?;
    let (passed, reply) = run(&cluster, &pod).await?;
    assert!(!passed && reply.contains("it was taken"), "{reply}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn its_splits_have_the_labels_that_any_selector_asks_for() -> Result<()> {
    let cluster = cluster().await?;
    cluster.kubectl(["create", "namespace", "emojivoto"]).ok().await?;
    let values = ["selector=team in (a\\, b)\\,!legacy\\,env!=test\\,x", "namespaces={emojivoto}"];
    let pod = prepared(&cluster, &values).await?;
    let script = pod["spec"]["containers"][0]["args"][0].as_str().context("no script")?;
    assert!(script.contains(r#"labels: {"team":"a","x":"test"}"#), "{script}");
    // In a namespace that is managed.
    assert_eq!(pod["metadata"]["namespace"], "emojivoto");
    Ok(())
}
