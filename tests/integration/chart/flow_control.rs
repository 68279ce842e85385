//! API Priority and Fairness: the FlowSchema that the requests of the program fall into.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use http::Request;
use k8s_openapi::api::flowcontrol::v1::FlowSchema;
use kube::api::ListParams;
use kube::client::Body;
use kube::{Api, ResourceExt};
use test_cluster::{Cluster, Installation, eventually};

const ACCOUNT: &str = "system:serviceaccount:linkerd-failover:linkerd-failover";
const SPLITS: &str = "/apis/split.smi-spec.io/v1alpha2/trafficsplits?limit=1";
const A_SPLIT: &str = "/apis/split.smi-spec.io/v1alpha2/namespaces/default/trafficsplits/web";
const A_LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/linkerd-failover/leases/x";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events?limit=1";

/// The FlowSchema of a request of the program's ServiceAccount, whatever that may read.
async fn flow_schema_of(cluster: &Cluster, path: &str) -> Result<String> {
    let request = Request::get(path).header("Impersonate-User", ACCOUNT).body(Body::empty())?;
    let response = cluster.client().send(request).await?;
    let uid = response.headers().get("x-kubernetes-pf-flowschema-uid").context("no FlowSchema")?;
    let schemas: Api<FlowSchema> = Api::all(cluster.client());
    let all = schemas.list(&ListParams::default()).await?;
    let matched = all.iter().find(|schema| schema.uid().is_some_and(|u| *uid == *u));
    Ok(matched.context("none of this uid")?.name_any())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failover_needs_shares_its_priority_with_all_service_accounts_unless_asked_for()
-> Result<()> {
    let cluster = cluster().await?;
    for path in [SPLITS, A_SPLIT, A_LEASE, EVENTS] {
        assert_eq!(flow_schema_of(&cluster, path).await?, "service-accounts", "{path}");
    }
    let values = ["flowControl.enabled=true"];
    let _installation = Installation::install(&cluster, options(0, &values)).await?;
    eventually("they have a FlowSchema of their own", PATIENCE, || async {
        for path in [SPLITS, A_SPLIT, A_LEASE] {
            let matched = flow_schema_of(&cluster, path).await?;
            ensure!(matched == "linkerd-failover", "{path}: {matched}");
        }
        Ok(())
    })
    .await?;
    assert_eq!(flow_schema_of(&cluster, EVENTS).await?, "service-accounts");
    Ok(())
}
