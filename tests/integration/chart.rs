//! The chart: what it renders, what it refuses, and what an upgrade leaves alone.

use crate::stage::*;
use anyhow::{Context, Result};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::Value;
use test_cluster::{Cluster, Installation};

const CHART: &str = "charts/linkerd-failover";

/// Renders with the arguments; the documents of a kind.
async fn rendered(cluster: &Cluster, arguments: &[&str], kind: &str) -> Result<Vec<Value>> {
    let helm = cluster.helm(["template", "linkerd-failover", CHART, "-n", "linkerd-failover"]);
    let text = helm.args(arguments.iter().copied()).ok().await?;
    let documents =
        text.split("\n---").filter(|document| document.contains(&format!("\nkind: {kind}\n")));
    let mut read = vec![];
    for document in documents {
        // kubectl reads YAML as the API server would.
        let json = cluster
            .kubectl(["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-"])
            .stdin(document)
            .ok()
            .await?;
        read.push(serde_json::from_str(&json)?);
    }
    Ok(read)
}

async fn refused(cluster: &Cluster, value: &str) -> Result<String> {
    let output = cluster.helm(["template", "x", CHART, "--set", value]).output().await?;
    anyhow::ensure!(!output.status.success(), "{value} was accepted");
    Ok(output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_is_well_formed_and_every_variant_is_taken_by_the_api_server() -> Result<()> {
    let cluster = cluster().await?;
    cluster.helm(["lint", "--strict", CHART]).ok().await?;
    cluster.kubectl(["create", "namespace", "linkerd-failover"]).ok().await?;

    // manifests/install.yaml says itself how it is made anew.
    let helm = cluster.helm(["template", "linkerd-failover", CHART, "-n", "linkerd-failover"]);
    let whole = helm.args(["--no-hooks"]).ok().await?;
    let kept = std::fs::read_to_string("manifests/install.yaml")?;
    anyhow::ensure!(kept.ends_with(&whole), "manifests/install.yaml is not the chart any more");

    for variant in [
        vec![],
        vec!["failoverDelay=30s", "failbackDelay=5m", "warmStandby=true", "brake=25"],
        vec!["webhook.enabled=false", "lease=false"],
        vec!["webhook.exemptUsers={alice,system:serviceaccount:argocd:argocd}", "linkerdIPv6=true"],
        vec!["selector=team in (a\\, b)\\,!legacy", "podDisruptionBudget.enabled=false"],
        vec![
            "webhook.namespaceSelector.matchLabels.env=prod",
            "webhook.servicePort=8443",
            "replicas=3",
        ],
        vec![
            "image.registry=example.com/x",
            "image.tag=v1",
            "priorityClassName=system-cluster-critical",
        ],
    ] {
        // The Job and its helpers need Linkerd's own namespace.
        let mut helm = cluster
            .helm(["template", "linkerd-failover", CHART, "-n", "linkerd-failover"])
            .args(["--set", "namespaceMetadata.enabled=false"]);
        for value in &variant {
            helm = helm.args(["--set", value]);
        }
        let text = helm.ok().await?;
        let applied =
            cluster.kubectl(["apply", "--dry-run=server", "-n", "linkerd-failover", "-f", "-"]);
        applied.stdin(text).ok().await.with_context(|| format!("{variant:?}"))?;
    }

    for (value, words) in [
        ("replicas=two", "replicas"),
        ("webhook.failurePolicy.validating=Maybe", "'Fail', 'Ignore'"),
        ("logFormat=xml", "'plain', 'json'"),
        ("webhok.enabled=false", "webhok"),
        ("selector=a b", "found \"a b\""),
        ("failoverDelay=soon", "failoverDelay"),
        ("brake=100", "brake"),
        ("webhook.timeoutSeconds=31", "timeoutSeconds"),
    ] {
        let said = refused(&cluster, value).await?;
        assert!(said.contains(words), "{value}: {said}");
    }

    // The webhook selects exactly what the controller manages.
    let values = ["--set", "selector=team in (a\\, b)\\,!legacy\\,env!=test\\,x=y"];
    let webhooks = rendered(&cluster, &values, "ValidatingWebhookConfiguration").await?;
    insta::assert_json_snapshot!(webhooks[0]["webhooks"][0]["objectSelector"], @r#"
    {
      "matchExpressions": [
        {
          "key": "team",
          "operator": "In",
          "values": [
            "a",
            "b"
          ]
        },
        {
          "key": "legacy",
          "operator": "DoesNotExist"
        },
        {
          "key": "env",
          "operator": "NotIn",
          "values": [
            "test"
          ]
        },
        {
          "key": "x",
          "operator": "In",
          "values": [
            "y"
          ]
        }
      ]
    }
    "#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_keeps_the_ca_and_a_lost_bundle_is_put_back() -> Result<()> {
    let cluster = Cluster::start().await?;
    // The chart brings the CRD where it is asked to.
    let values = ["installTrafficSplitCRD=true"];
    let installation = install(&cluster, 1, &values).await?;
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), "linkerd-failover");
    let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(cluster.client());
    let name = "linkerd-failover";
    let ca =
        || async { Ok::<_, anyhow::Error>(secrets.get("linkerd-failover-webhook-ca").await?.data) };
    let bundle = || async {
        let configuration = webhooks.get(name).await?;
        let first = configuration.webhooks.unwrap_or_default().remove(0);
        first.client_config.ca_bundle.context("no caBundle")
    };
    let (ca_before, bundle_before) = (ca().await?, bundle().await?);

    // The immutable selector of the predecessor's Deployment is kept.
    let deployments: Api<Deployment> = Api::namespaced(cluster.client(), name);
    let selector = deployments.get(name).await?.spec.context("no spec")?.selector;
    assert_eq!(
        selector.match_labels.context("no labels")?.into_iter().collect::<Vec<_>>(),
        [("linkerd.io/extension".to_owned(), "failover".to_owned())]
    );

    let values = ["installTrafficSplitCRD=true", "replicas=3"];
    let port = installation.webhook_service().context("no webhook")?.port();
    let port = format!("webhook.servicePort={port}");
    let mut helm = cluster.helm([
        "upgrade",
        name,
        CHART,
        "-n",
        name,
        "--set",
        "namespaceMetadata.enabled=false",
    ]);
    for value in values.iter().copied().chain([port.as_str()]) {
        helm = helm.args(["--set", value]);
    }
    helm.ok().await?;
    assert_eq!(ca().await?, ca_before);
    assert_eq!(bundle().await?, bundle_before);

    // Whoever empties it: it is put back.
    let wipe = r#"[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]"#;
    cluster
        .kubectl(["patch", "validatingwebhookconfiguration", name, "--type=json", "-p", wipe])
        .ok()
        .await?;
    test_cluster::eventually("the bundle is back", PATIENCE, || async {
        anyhow::ensure!(bundle().await? == bundle_before, "another bundle");
        Ok::<_, anyhow::Error>(())
    })
    .await?;
    Installation::uninstall(installation).await?;
    anyhow::ensure!(webhooks.get_opt(name).await?.is_none(), "the webhook configuration stayed");
    Ok(())
}
