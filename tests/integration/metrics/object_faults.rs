//! Alerts about objects, and what people and other writers do to them, fired by the real fault.

use crate::support::*;
use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use linkerd_failover::kinds::Kind;
use serde_json::{Value, json};
use std::time::Duration;
use test_cluster::{Cluster, Installation, Workload};

/// The alerts that fire here.
pub(crate) const FIRED: &[&str] = &[
    "Brake",
    "DeclarationUnreadable",
    "Frozen",
    "KeptOnDeclaredDown",
    "OtherWriter",
    "RouteNotInUse",
    "WritesRefused",
];

const PRIMARIES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// The chart, with everything that the cluster's admin does kept from the webhook, as what a GitOps tool does
/// may be.
async fn install_exempt(cluster: &Cluster) -> Result<Installation> {
    let me = cluster.kubectl(["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
    let exempt = format!("webhook.exemptUsers[0]={}", me.ok().await?.trim());
    let installation = Installation::install(cluster, options(2, &[&exempt, "brake=50"])).await?;
    installation.wait_ready(PATIENCE).await?;
    Ok(installation)
}

/// Linkerd's policy controller, as far as a route's status goes.
async fn set_accepted(routes: &Api<DynamicObject>, accepted: bool) -> Result<()> {
    let status = if accepted { "True" } else { "False" };
    let reason = if accepted { "Accepted" } else { "NoMatchingParent" };
    let condition = json!({"type": "Accepted", "status": status, "reason": reason, "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let parent = json!({
        "controllerName": "linkerd.io/policy-controller", "conditions": [condition],
        "parentRef": {"group": "core", "kind": "Service", "name": "emoji-svc", "port": 8080},
    });
    let status = Patch::Merge(json!({"status": {"parents": [parent]}}));
    routes.patch_status("emoji", &PatchParams::default(), &status).await?;
    Ok(())
}

async fn declare(workload: &Workload<'_>, until: Value) -> Result<()> {
    let patch = json!({"metadata": {"annotations": {"failover.linkerd.io/down-until": until}}});
    let services = workload.api::<Service>();
    services.patch("emoji-svc", &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

/// Undoes the failover of emoji whenever it sees it, until dropped.
struct Undoing(tokio::task::JoinHandle<()>);

impl Undoing {
    fn start(splits: &Api<DynamicObject>) -> Self {
        let splits = splits.clone();
        let undo = json!({"spec": {"backends": [
            {"service": "emoji-svc", "weight": 1}, {"service": "emoji-svc-west", "weight": 0},
        ]}});
        let field_manager = Some("argocd-controller".to_owned());
        let params = PatchParams { field_manager, ..PatchParams::default() };
        Self(tokio::spawn(async move {
            loop {
                if splits.get("emoji").await.is_ok_and(|split| weights(&split) == [0.0, 1.0]) {
                    let _ = splits.patch("emoji", &params, &Patch::Merge(&undo)).await;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }))
    }
}

impl Drop for Undoing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_about_objects_fire_by_their_faults() -> Result<()> {
    let cluster = cluster().await?;
    cluster.install_gateway_api_crds().await?;
    let installation = install_exempt(&cluster).await?;
    let (workload, west, splits) = emojivoto_with_split(&cluster).await?;
    workload.service_with_slice("backup", 1).await?;
    for name in PRIMARIES {
        workload.service_with_slice(name, 1).await?;
        workload.apply(&manifest(name, name, &["backup"])).await?;
    }
    let route = route(Kind::HttpRoute, &[("", &["emoji-svc", "emoji-svc-west"])]);
    workload.apply(&route.to_string()).await?;
    let routes = routes(&cluster, Kind::HttpRoute);
    set_accepted(&routes, true).await?;
    let mut alerts =
        AlertRecorder::start(&cluster, &installation, &["writesRefused.writes=1"]).await?;
    alerts.none_but(&[]).await?;

    // A route that Linkerd does not accept: reported by the leader, and by the next one.
    set_accepted(&routes, false).await?;
    let ours = [("namespace", "linkerd-failover"), ("job", "linkerd-failover/linkerd-failover")];
    alerts.fires("RouteNotInUse", &ours).await?;
    let first = leader(&cluster, &installation).await?;
    first.process().terminate(PATIENCE).await?;
    let second = leader(&cluster, &installation).await?;
    first.restart().await?;
    wait_metric(&second, "linkerd_failover_routes_not_in_use", 1.0).await?;
    set_accepted(&routes, true).await?;
    // The alert looks at the last minutes: it ends later than its fault.
    wait_metric_of_all(&installation, "linkerd_failover_routes_not_in_use", 0.0).await?;

    let frozen = ["annotate", "namespace", "linkerd-failover"];
    let annotate = async |annotation: &str| cluster.kubectl(frozen).args([annotation]).ok().await;
    annotate("failover.linkerd.io/frozen=true").await?;
    alerts.fires("Frozen", &ours).await?;
    annotate("failover.linkerd.io/frozen-").await?;
    alerts.resolved("Frozen", &[]).await?;

    declare(&workload, json!("soon")).await?;
    alerts.fires("DeclarationUnreadable", &ours).await?;
    west.set_empty().await?;
    let until = Timestamp::now() + SignedDuration::from_hours(1);
    declare(&workload, json!(until.to_string())).await?;
    alerts.resolved("DeclarationUnreadable", &[]).await?;
    alerts.fires("KeptOnDeclaredDown", &ours).await?;
    declare(&workload, Value::Null).await?;
    let kept = "linkerd_failover_declared_down_kept_objects";
    wait_metric_of_all(&installation, kept, 0.0).await?;
    west.set_ready().await?;

    refuse_updates(&workload, ("split.smi-spec.io", "trafficsplits"), "emoji").await?;
    workload.scale("emoji", 0).await?;
    alerts.fires("WritesRefused", &ours).await?;
    accept_updates(&cluster).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;

    let undoing = Undoing::start(&splits);
    alerts.fires("OtherWriter", &ours).await?;
    drop(undoing);
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;

    // More primaries are lost at once than may be.
    let set_ready = async |ready: usize| {
        let writes = PRIMARIES.iter().map(|name| workload.set_ready(name, ready));
        futures::future::try_join_all(writes).await
    };
    set_ready(0).await?;
    alerts.fires("Brake", &ours).await?;
    set_ready(1).await?;
    alerts.resolved("Brake", &[]).await?;
    alerts.ensure_fired(FIRED)
}
