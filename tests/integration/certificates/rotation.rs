//! The webhook's own certificates under load: a whole rotation of the CA, and damage.

use crate::support::admission_load::{Load, create};
use crate::support::*;
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use test_cluster::{ApiProxy, Cluster, Installation, eventually};

const SECRET: &str = "linkerd-failover-webhook-ca";
/// A failed call is an error, and only a failed call: a busy machine is given time.
const STRICT: [&str; 2] = ["webhook.failurePolicy.mutating=Fail", "webhook.timeoutSeconds=30"];
/// A rotation is over in less than a minute and a half.
const LIVES: [(&str, &str); 3] = [
    ("LINKERD_FAILOVER_WEBHOOK_CA_LIFE", "80s"),
    ("LINKERD_FAILOVER_WEBHOOK_LEAF_LIFE", "30s"),
    ("LINKERD_FAILOVER_WEBHOOK_CA_SETTLE", "4s"),
];
/// For what takes a good part of that.
const ROTATION: Duration = Duration::from_secs(240);

fn secrets(cluster: &Cluster) -> Api<Secret> {
    Api::namespaced(cluster.client(), "linkerd-failover")
}

async fn data(cluster: &Cluster) -> Result<BTreeMap<String, Vec<u8>>> {
    let data = secrets(cluster).get(SECRET).await?.data.unwrap_or_default();
    Ok(data.into_iter().map(|(key, value)| (key, value.0)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_rotation_of_the_ca_fails_no_call_though_a_replica_is_killed_in_its_middle()
-> Result<()> {
    let cluster = cluster().await?;
    let mut installation = Installation::install(&cluster, options(0, &STRICT)).await?;
    let serving = installation.start_replica_with(&LIVES).await?;
    // A kill costs whoever is called at that moment: this one keeps certificates and is not called.
    let proxy = ApiProxy::start(&cluster)?;
    proxy.freeze("/endpointslices");
    let killed = installation.start_replica_through_with(&proxy, &LIVES).await?;
    serving.wait_ready(PATIENCE).await?;
    wait_webhook(&cluster).await?;
    let (_workload, _west) = emojivoto(&cluster).await?;
    let splits = splits(&cluster, "emojivoto");
    eventually("a create passes", PATIENCE, || create(&splits, 0)).await?;

    let load = Load::start(&splits);
    let first = data(&cluster).await?;
    let (first_ca, first_key) = (first["ca.crt"].clone(), first["ca.key"].clone());
    let next = eventually("both bundles have the next CA", ROTATION, || async {
        let next = data(&cluster).await?.remove("next.crt").context("not made yet")?;
        let next = String::from_utf8(next)?;
        ensure!(bundles(&cluster).await?.iter().all(|bundle| bundle.contains(&next)), "not yet");
        Ok::<_, anyhow::Error>(next)
    })
    .await?;
    killed.restart().await?;
    proxy.thaw();
    killed.wait_ready(PATIENCE).await?;
    eventually("the next CA is in use", ROTATION, || async {
        ensure!(data(&cluster).await?["ca.crt"] == next.as_bytes(), "not yet");
        Ok::<_, anyhow::Error>(())
    })
    .await?;
    let old = String::from_utf8(first_ca.clone())?;
    assert!(bundles(&cluster).await?.iter().all(|bundle| bundle.contains(&next)));
    eventually("the former CA is gone", ROTATION, || async {
        let bundles = bundles(&cluster).await?;
        ensure!(!bundles.iter().any(|bundle| bundle.contains(&old)), "it is trusted still");
        Ok::<_, anyhow::Error>(())
    })
    .await?;

    let renewed = r#"linkerd_failover_webhook_certificate_loads_total{kind="renewed"}"#;
    assert!(total(&installation, renewed).await? >= 1.0);
    let changed = r#"linkerd_failover_webhook_certificate_loads_total{kind="another-ca"}"#;
    assert!(total(&installation, changed).await? >= 2.0);
    let repairs = total(&installation, "linkerd_failover_webhook_secret_repairs_total").await?;
    assert!(repairs.abs() < 0.5, "a rotation is no repair: {repairs}");
    let now = data(&cluster).await?;
    let traces = now.values().filter(|value| **value == first_ca || **value == first_key);
    assert_eq!(traces.count(), 0, "{:?}", now.keys());

    let (done, failed) = load.end().await?;
    assert!(failed.is_empty(), "{} of {done} failed: {:?}", failed.len(), failed.first());
    assert!(done > 200, "{done} creates are no load");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_secret_is_repaired_and_a_deleted_one_costs_nothing_until_it_is_back()
-> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 2, &STRICT).await?;
    let (_workload, _west) = emojivoto(&cluster).await?;
    let splits = splits(&cluster, "emojivoto");
    eventually("a create passes", PATIENCE, || create(&splits, 0)).await?;
    let secrets = secrets(&cluster);
    let params = PatchParams::default();
    let garbage = json!("Z2FyYmFnZQ==");
    for damage in [
        json!({"data": null}),
        json!({"data": {"ca.key": garbage}}),
        json!({"data": {"ca.crt": garbage, "ca.key": garbage, "rotation.json": garbage}}),
        json!({"data": {"ca.crt": null}}),
    ] {
        let before = data(&cluster).await?;
        secrets.patch(SECRET, &params, &Patch::Merge(&damage)).await?;
        eventually("there is another CA, and both bundles have it", PATIENCE, || async {
            let now = data(&cluster).await?;
            let ca = now.get("ca.crt").context("empty")?;
            ensure!(*ca != before["ca.crt"] && ca.starts_with(b"-----BEGIN"), "as it was");
            let ca = String::from_utf8(ca.clone())?;
            ensure!(bundles(&cluster).await?.iter().all(|b| b.contains(&ca)), "not in both");
            Ok::<_, anyhow::Error>(())
        })
        .await?;
        eventually("creates pass again", PATIENCE, || async {
            for n in 0..20 {
                create(&splits, n).await?;
            }
            Ok::<_, anyhow::Error>(())
        })
        .await?;
    }
    let repairs = "linkerd_failover_webhook_secret_repairs_total";
    // An emptied Secret is as one that was never filled.
    assert!(total(&installation, repairs).await? >= 3.0);

    secrets.delete(SECRET, &DeleteParams::default()).await?;
    eventually("the log has the next step", PATIENCE, || async {
        let log = installation.replicas()[0].process().log_tail();
        ensure!(log.contains("does not exist") && log.contains("helm upgrade"), "{log}");
        Ok::<_, anyhow::Error>(())
    })
    .await?;
    for n in 0..20 {
        create(&splits, n).await?;
    }
    installation.wait_ready(PATIENCE).await?;
    let mut chart = Secret::default();
    chart.metadata.name = Some(SECRET.into());
    secrets.create(&PostParams::default(), &chart).await?;
    eventually("creates pass with the new CA", PATIENCE, || async {
        let ca = data(&cluster).await?.remove("ca.crt").context("no CA yet")?;
        let ca = String::from_utf8(ca)?;
        ensure!(bundles(&cluster).await?.iter().all(|b| b.contains(&ca)), "not in both");
        create(&splits, 0).await?;
        Ok::<_, anyhow::Error>(())
    })
    .await?;
    Ok(())
}
