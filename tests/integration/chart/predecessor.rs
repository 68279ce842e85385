//! From linkerd-failover 0.1 to this by `helm upgrade`, with a stand-in for its chart.

use crate::support::*;
use anyhow::{Context, Result};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

const NAME: &str = "linkerd-failover";

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_takes_over_what_0_1_left_and_a_rollback_gives_it_back() -> Result<()> {
    let cluster = cluster().await?;
    let old = ["install", NAME, "tests/fixtures/predecessor", "-n", NAME, "--create-namespace"];
    cluster.helm(old).args(["--set", "logLevel=linkerd=debug\\,warn"]).ok().await?;
    // Its hook did not end: the Job waits for an image that nobody can pull.
    let job = ["create", "job", "namespace-metadata", "-n", NAME, "--image=example.com/none"];
    cluster.kubectl(job).ok().await?;
    cluster.kubectl(["create", "serviceaccount", "namespace-metadata", "-n", NAME]).ok().await?;
    let deployments: Api<Deployment> = Api::namespaced(cluster.client(), NAME);
    let before = deployments.get(NAME).await?;

    // The primary is ready, and 0.1 was stopped before it saw that.
    let (workload, _west) = emojivoto(&cluster).await?;
    let split = emoji().replace("weight: 1", "weight: x").replace("weight: 0", "weight: 1");
    workload.apply(&split.replace("weight: x", "weight: 0")).await?;

    // Kept values that name 0.1's image would run a program that ends at once.
    let upgrade = || {
        let arguments = ["upgrade", NAME, CHART, "-n", NAME, "--reset-then-reuse-values"];
        cluster.helm(arguments)
    };
    let kept = upgrade().args(["--set", "image.registry=cr.l5d.io/linkerd,image.name=failover"]);
    let kept = kept.output().await?;
    assert!(
        !kept.status.success() && kept.stderr.contains("linkerd-failover 0.1"),
        "{}",
        kept.stderr
    );

    // By the README's command.
    upgrade()
        .args(["--set", "image.registry=example.com,image.name=linkerd-failover"])
        .ok()
        .await?;
    let after = deployments.get(NAME).await?;
    assert_eq!(after.uid(), before.uid(), "the Deployment was recreated");
    let pod = after.spec.and_then(|spec| spec.template.spec).context("no pod")?;
    let arguments = pod.containers[0].args.clone().unwrap_or_default();
    assert!(arguments.contains(&"--log-level=linkerd=debug,warn".to_owned()), "{arguments:?}");
    let roles: Api<ClusterRole> = Api::all(cluster.client());
    let rules = serde_json::to_string(&roles.get(NAME).await?.rules)?;
    assert!(rules.contains("endpointslices") && !rules.contains("\"endpoints\""), "{rules}");

    // What 0.1 left undone is done, and from now on objects are validated.
    let _installation = install(&cluster, 1, &[]).await?;
    let splits = splits(&cluster, "emojivoto");
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    wait_extension_label(&cluster, Some("failover")).await?;

    // Back: no webhook stays that nobody answers.
    cluster.helm(["rollback", NAME, "1", "-n", NAME]).ok().await?;
    let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(cluster.client());
    assert_eq!(webhooks.list(&ListParams::default()).await?.items.len(), 0);
    assert_eq!(deployments.get(NAME).await?.uid(), before.uid());
    workload.apply(&emoji()).await?;
    Ok(())
}
