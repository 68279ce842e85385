//! The chart: what it renders, what it refuses, and what an upgrade keeps.

use crate::support::*;
use anyhow::{Context, Result};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::{Value, json};
use test_cluster::{Cluster, Installation};

const VARIANTS: &[&[&str]] = &[
    &[],
    &["failoverDelay=30s", "failbackDelay=5m", "warmStandby=true", "brake=25"],
    &["protection=seamless", "namespaces={default,linkerd-failover}"],
    &["webhook.enabled=false", "webhook.certs.mode=external", "lease=false", "replicas=1"],
    &["webhook.exemptUsers={alice,system:serviceaccount:argocd:argocd}", "linkerdIPv6=true"],
    &["selector=team in (a\\, b)\\,!legacy", "podDisruptionBudget.enabled=false"],
    &["webhook.namespaceSelector.matchLabels.env=prod", "webhook.servicePort=8443", "replicas=3"],
    &["image.registry=example.com/x", "image.tag=v1", "priorityClassName=system-cluster-critical"],
    &[concat!(
        "image.digest=sha256:",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    )],
    &["webhook.certs.mode=cert-manager"],
    &["webhook.certs.mode=cert-manager", "webhook.certs.certManager.issuerRef.name=ours"],
    &["webhook.certs.mode=external", "webhook.certs.secretName=tls", "webhook.annotations.a=b"],
    &["webhook.tlsMinVersion=1.2", "webhook.clientCA.secretName=api-server-ca", "drainSeconds=10"],
    &["webhook.missingBackends=Warn", "linkedClusters={west,north}"],
    &["webhook.serviceDeletionWarning=false", "webhook.exemptServiceAccounts={argocd/argocd}"],
    &["webhook.admissionPolicy.enabled=true", "selector=team notin (a\\, b)\\,!legacy\\,x=y\\,z"],
    &["webhook.admissionPolicy.enabled=true", "webhook.enabled=false", "namespaces={default}"],
    &["adminPort=8443", "webhook.enabled=false"],
    &["hostNetwork=true", "webhook.port=10250", "adminPort=9995", "listenHost=[::]"],
    &["networkPolicy.enabled=true", "networkPolicy.adminFrom[0].podSelector.matchLabels.a=b"],
    &["flowControl.enabled=true", "flowControl.nominalConcurrencyShares=10"],
    &[
        "flowControl.enabled=true",
        "flowControl.priorityLevel=workload-high",
        "namespaces={default}",
    ],
    &["podMonitor.enabled=true", "serviceMonitor.enabled=true", "podMonitor.labels.release=x"],
    &["metrics.perObject=false", "prometheusRule.enabled=true"],
    &["dashboards.enabled=true", "dashboards.annotations.grafana_folder=Linkerd"],
    &["namespaces={default,linkerd-failover}", "webhook.namespaceSelector.matchLabels.env=prod"],
    &[
        "remoteClusters.credentialsNamespaces={default,linkerd-failover}",
        "remoteUnreachableAfter=5m",
    ],
    &["fullnameOverride=second", "commonLabels.team=x", "podLabels.a=b", "podAnnotations.a=b"],
    &["podSecurityContext.runAsUser=null", "extraEnv[0].name=A", "extraEnv[0].value=b"],
    &["serviceProfiles.manage=true", "clusterDomain=k8s.example.com", "webhook.enabled=false"],
    &["serviceProfiles.manage=true", "namespaces={default}"],
    &["linkerdConfig.read=always", "linkerdNamespace=linkerd-failover"],
    &["updateStrategy.type=Recreate", "updateStrategy.rollingUpdate=null", "inject=enabled"],
    &["guard.enabled=false"],
    &["guard.bound=0.8s", "guard.adaptorGrace=0s", "guard.propagation=0.03s"],
    &["guard.bound=10ms", "guard.adaptorGrace=0s", "webhook.namespaceSelector.matchLabels.a=b"],
    &["webhook.certs.mode=cert-manager", "webhook.clientCA.secretName=ca", "namespaces={default}"],
    &["hostNetwork=true", "networkPolicy.enabled=true", "inject=enabled"],
    &["alerts.enabled=true", "alerts.for=10m", "alerts.minimumStay=0s", "alerts.serviceLabel=svc"],
    &["alerts.enabled=true", "alerts.prometheusRule.enabled=true", "namespaces={default}"],
    &["alerts.enabled=true", "alerts.caNamespaces={default,linkerd-failover}"],
    &[
        "notifications.url=https://a.example/x",
        "notifications.secret.name=keys",
        "notifications.types={held,failover}",
    ],
    &[
        "notifications.secret.urlKey=url",
        "notifications.secret.caKey=ca.crt",
        "notifications.secret.name=keys",
        "notifications.source=/clusters/east",
    ],
];

/// What 0.1 had and has no effect any more.
const WITHOUT_EFFECT: &str = "namespaceMetadata.image.registry=r,namespaceMetadata.image.name=n,namespaceMetadata.image.tag=1,namespaceMetadata.image.pullPolicy=";

/// What the schema or a template refuses, and a part of the answer.
const REFUSED: &[(&str, &str)] = &[
    ("drainSeconds=60", "expected drainSeconds and 32 more"),
    ("lease=false", "expected replicas: 1"),
    (
        "webhook.certs.mode=cert-manager,webhook.certs.certManager.issuerRef.kind=ClusterIssuer",
        "issuerRef.name",
    ),
    ("replicas=two", "replicas"),
    ("webhook.failurePolicy.validating=Maybe", "'Fail', 'Ignore'"),
    ("logFormat=xml", "'plain', 'json'"),
    ("webhok.enabled=false", "webhok"),
    ("selector=a b", "found \"a b\""),
    ("failoverDelay=soon", "failoverDelay"),
    ("brake=100", "brake"),
    ("metrics.perobject=false", "perobject"),
    ("prometheusRule.alerts.hold.enabled=false", "hold"),
    ("prometheusRule.alerts.held.for=soon", "for"),
    ("dashboards.label.a=b", "label"),
    ("protection=full", "'standard', 'seamless'"),
    ("webhook.timeoutSeconds=31", "timeoutSeconds"),
    ("webhook.certs.mode=auto", "'self', 'cert-manager', 'external'"),
    ("webhook.certs.mode=external", "webhook.certs.secretName: found nothing"),
    ("webhook.certs.caBundle=LS0t", "caBundle"),
    ("webhook.certs.certManager.issuerRef.nam=x", "nam"),
    ("webhook.tlsMinVersion=1.1", "'1.2', '1.3'"),
    ("webhook.missingBackends=deny", "'Deny', 'Warn'"),
    ("webhook.exemptServiceAccounts={argocd}", "exemptServiceAccounts"),
    ("webhook.namespaceSelector.env=prod", "env"),
    ("image.digest=latest", "digest"),
    ("namespaces={a.b}", "namespaces"),
    ("namespaces=a", "namespaces"),
    ("remoteClusters.credentialsNamespaces=a", "credentialsNamespaces"),
    ("remoteClusters.credentials={a}", "credentials"),
    ("remoteUnreachableAfter=soon", "remoteUnreachableAfter"),
    ("drainSeconds=5s", "drainSeconds"),
    ("clusterDomain=Cluster.local", "clusterDomain"),
    ("serviceProfiles.manage=maybe", "manage"),
    ("preStopSleepSeconds=5", "preStopSleepSeconds"),
    ("alerts.enabled=true,alerts.for=0m0s", "alerts.for: found 0m0s"),
    ("flowControl.matchingPrecedence=0", "matchingPrecedence"),
    ("flowControl.nominalConcurrencyShares=many", "nominalConcurrencyShares"),
    ("flowControl.priorityLevel=Workload", "priorityLevel"),
    ("flowControl.enable=true", "enable"),
    ("linkerdConfig.read=maybe", "'auto', 'always', 'never'"),
    ("linkerdConfig.enabled=true", "enabled"),
    ("podMonitor.interval=often", "interval"),
    ("resources.limit.memory=1Gi", "limit"),
    ("updateStrategy.type=Rolling", "'RollingUpdate', 'Recreate'"),
    ("guard.bound=0.09s", "found 100ms, expected at most guard.bound, 0.09s"),
    ("guard.bound=1s", "guard/bound"),
    ("guard.bound=0ms", "guard/bound"),
    ("guard.bound=801ms", "guard/bound"),
    ("guard.bound=500", "guard/bound"),
    ("guard.adaptorGrace=0.81s", "guard/adaptorGrace"),
    ("guard.propagation=1s", "guard/propagation"),
    ("guard.propagation=30", "guard/propagation"),
    ("guard.enable=true", "enable"),
    ("alerts.enabled=true,webhook.enabled=false", "expected webhook.enabled: true"),
    ("alerts.for=soon", "alerts/for"),
    ("notifications.url=https://a.example/x", "notifications.secret.name: found none beside a URL"),
    (
        "notifications.url=https://a.example/x,notifications.secret.urlKey=url,notifications.secret.name=keys",
        "notifications.secret.urlKey: found it beside notifications.url",
    ),
    (
        "notifications.url=https://a.example/x,notifications.ca=-----BEGIN CERTIFICATE-----x,notifications.secret.caKey=ca.crt,notifications.secret.name=keys",
        "notifications.secret.caKey: found it beside notifications.ca",
    ),
    ("notifications.url=a.example/x", "notifications/url"),
    ("notifications.types={failure}", "notifications/types/0"),
    ("notifications.secret.key=a b", "notifications/secret/key"),
    ("notifications.hmac=x", "hmac"),
    ("alerts.serviceLabel=a-b", "alerts/serviceLabel"),
    ("alerts.caNamespaces=monitoring", "alerts/caNamespaces"),
    ("alerts.prometheusRule.enable=true", "enable"),
    ("adminPort=8443", "adminPort: found 8443, which is webhook.port too"),
    ("adminPort=9000,webhook.port=9000", "adminPort: found 9000, which is webhook.port too"),
    ("inject=enabled,adminPort=4191", "a port that Linkerd's proxy does not take"),
    (
        "webhook.certs.mode=external,webhook.certs.secretName=linkerd-failover-webhook-ca",
        "expected another Secret",
    ),
];

/// Whether the API server takes every object of a variant. Hooks are left out: the Pod of `helm test`
/// needs the ServiceAccount that comes before it.
async fn taken(cluster: &Cluster, variant: &[&str]) -> Result<()> {
    let mut helm = cluster
        .helm(["template", "linkerd-failover", CHART, "-n", "linkerd-failover"])
        .args(["--no-hooks"]);
    for value in variant {
        // What looks like a number is meant as the text that it is in the schema.
        let text = value.starts_with("webhook.tlsMinVersion") || value.starts_with("extraEnv");
        helm = helm.args([if text { "--set-string" } else { "--set" }, value]);
    }
    let rendered = helm.ok().await?;
    let apply = ["apply", "--dry-run=server", "-f", "-"];
    cluster.kubectl(apply).stdin(rendered).ok().await.map(drop)
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
    // Of other operators' kinds: fields that their CRDs do not have are not noticed here.
    for (group, version, kind) in [
        ("cert-manager.io", "v1", "Issuer"),
        ("cert-manager.io", "v1", "Certificate"),
        ("monitoring.coreos.com", "v1", "PodMonitor"),
        ("monitoring.coreos.com", "v1", "ServiceMonitor"),
        ("monitoring.coreos.com", "v1", "PrometheusRule"),
        ("policy.linkerd.io", "v1beta3", "Server"),
        ("policy.linkerd.io", "v1alpha1", "AuthorizationPolicy"),
        ("policy.linkerd.io", "v1alpha1", "NetworkAuthentication"),
    ] {
        cluster.apply(&crd(group, version, kind)).await?;
    }

    // manifests/install.yaml has the command that makes it.
    let helm = cluster.helm(["template", "linkerd-failover", CHART, "-n", "linkerd-failover"]);
    let made = helm.args(["--no-hooks"]).ok().await?;
    let kept = std::fs::read_to_string("manifests/install.yaml")?;
    anyhow::ensure!(kept.ends_with(&made), "manifests/install.yaml is not the chart any more");

    // `install` prints what the chart renders for another namespace and image, after the namespace.
    let image = ["--set", "image.registry=registry.example.com,image.name=f,image.tag=v1"];
    let helm = cluster.helm(["template", "linkerd-failover", CHART, "-n", "mesh", "--no-hooks"]);
    let expected = helm.args(image).ok().await?;
    let install = format!("{PROGRAM} install -n mesh --image registry.example.com/f:v1");
    let printed = cluster.sh(&install).ok().await?;
    let (_, printed) = printed.split_once("---\n").unwrap_or_default();
    assert_eq!(printed, expected.trim_start_matches("---\n"));

    let same = cluster.helm(["template", "linkerd-failover", CHART, "-n", "linkerd-failover"]);
    let same = same.args(["--no-hooks", "--set", WITHOUT_EFFECT]).ok().await?;
    assert_eq!(same, made);

    for variant in VARIANTS {
        taken(&cluster, variant).await.with_context(|| format!("{variant:?}"))?;
    }
    for (value, words) in REFUSED {
        let reply = refused(&cluster, value).await?;
        assert!(reply.contains(words), "{value}: {reply}");
    }

    // AKS leaves both configurations as they are; it reads an annotation, or a label.
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        let metadata = rendered(&cluster, &[], kind).await?.remove(0)["metadata"].take();
        for place in ["annotations", "labels"] {
            assert_eq!(metadata[place]["admissions.enforcer/disabled"], "true", "{kind} {place}");
        }
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
    let cluster = bare_cluster().await?;
    // The chart brings the CRD where it is asked to.
    let values = ["installTrafficSplitCRD=true", "guard.enabled=false"];
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
    let mut helm = cluster.helm(["upgrade", name, CHART, "-n", name]);
    for value in values.iter().copied().chain([port.as_str()]) {
        helm = helm.args(["--set", value]);
    }
    helm.ok().await?;
    assert_eq!(ca().await?, ca_before);
    assert_eq!(bundle().await?, bundle_before);
    // The guard, which the upgrade adds, comes to it.
    test_cluster::eventually("every webhook has the bundle", PATIENCE, || async {
        let webhooks = webhooks.get(name).await?.webhooks.unwrap_or_default();
        let bundles = webhooks.iter().map(|w| w.client_config.ca_bundle.as_ref());
        let having = bundles.filter(|bundle| *bundle == Some(&bundle_before)).count();
        anyhow::ensure!((webhooks.len(), having) == (6, 6), "{having} of {}", webhooks.len());
        Ok::<_, anyhow::Error>(())
    })
    .await?;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_from_elsewhere_takes_every_right_on_secrets_and_bundles_away() -> Result<()>
{
    let cluster = cluster().await?;
    let pem = "webhook.certs.caBundle=-----BEGIN CERTIFICATE-----\nx";
    let external =
        ["--set", "webhook.certs.mode=external,webhook.certs.secretName=tls", "--set", pem];
    let manager = ["--set", "webhook.certs.mode=cert-manager"];
    for (mode, secret) in [(&external[..], "tls"), (&manager[..], "linkerd-failover-webhook-tls")] {
        assert!(rendered(&cluster, mode, "Secret").await?.is_empty());
        let mut rules = vec![];
        for kind in ["ClusterRole", "Role"] {
            for role in rendered(&cluster, mode, kind).await? {
                rules.extend(role["rules"].as_array().cloned().unwrap_or_default());
            }
        }
        let of = |resource: &'static str| {
            rules.iter().filter(move |rule| rule["resources"].to_string().contains(resource))
        };
        assert_eq!(of("secrets").count(), 0);
        for rule in of("webhookconfigurations") {
            assert_eq!(rule["verbs"], json!(["get", "list", "watch"]));
        }
        let pod = rendered(&cluster, mode, "Deployment").await?.remove(0);
        let volume = &pod["spec"]["template"]["spec"]["volumes"][0];
        assert_eq!(volume["secret"]["secretName"], secret);
    }

    // Only what the user gave is rendered as caBundle; cert-manager has an annotation for where to find it.
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        let bundles = |arguments: Vec<&'static str>| {
            let cluster = &cluster;
            async move {
                let configuration = rendered(cluster, &arguments, kind).await?.remove(0);
                let webhooks = configuration["webhooks"].as_array().cloned().unwrap_or_default();
                let bundle = |w: &Value| w["clientConfig"]["caBundle"].as_str().map(str::to_owned);
                let inject =
                    &configuration["metadata"]["annotations"]["cert-manager.io/inject-ca-from"];
                anyhow::Ok((webhooks.iter().map(bundle).collect::<Vec<_>>(), inject.clone()))
            }
        };
        let (own, inject) = bundles(vec![]).await?;
        assert!(own.iter().all(Option::is_none) && inject.is_null());
        let (managed, inject) = bundles(manager.to_vec()).await?;
        assert!(managed.iter().all(Option::is_none));
        assert_eq!(inject, "linkerd-failover/linkerd-failover-webhook");
        let (given, _) = bundles(external.to_vec()).await?;
        assert!(
            given.iter().all(|b| b.as_deref() == Some("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCng=")),
            "{given:?}"
        );
    }
    Ok(())
}
