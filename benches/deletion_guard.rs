//! `make bench-guard`: how long the deletion of a pod is delayed, at a steady 200 deletions a second,
//! beside a handler that answers without looking; and, where it flips, beside the bare patch.

mod support;

use anyhow::{Context, Result};
use axum::body::Bytes;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::load::{PER_SECOND, REQUESTS, WebhookClient, in_turn, webhook_ca};
use support::process::metric;
use support::report::print_beside_first;
use support::reviews::{POD, review};
use support::{baseline, splits};
use test_cluster::{Cluster, InstallOptions, Installation, Replica, Workload, eventually};

const PATIENCE: Duration = Duration::from_secs(120);
const ROUNDS: usize = 60;
/// Primaries with many pods, of which a fifth never goes: no deletion changes the decision.
const SERVICES: usize = 100;
const PODS: usize = 100;
const GOING: usize = 80;
/// Primaries with one pod, whose deletion does.
const LAST: usize = 150;

#[tokio::main]
async fn main() -> Result<()> {
    if baseline::is_wanted() {
        return baseline::run().await;
    }
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    // Nothing carries the weights on here.
    let values = ["guard.enabled=true", "guard.adaptorGrace=0s"];
    let values = values.map(str::to_owned).to_vec();
    let options = InstallOptions { values, replicas: 2, ..support::options() };
    let installation = Installation::install(&cluster, options).await?;
    installation.wait_ready(PATIENCE).await?;
    let (workload, _west) = support::emojivoto(&cluster).await?;
    let template = template(&workload).await?;
    for (kind, services, pods) in [("many", SERVICES, PODS), ("last", LAST, 1)] {
        let made = futures::stream::iter(0..services)
            .map(|i| primary(&workload, format!("{kind}-{i}"), pods))
            .buffer_unordered(8);
        made.try_collect::<Vec<()>>().await?;
    }
    let (leader, standby) = replicas(&cluster, &installation).await?;
    let managed = (SERVICES + LAST) as f64;
    for replica in [leader, standby] {
        eventually("every split is seen, and the leader reached", PATIENCE, || async {
            let metrics = replica.get("/metrics").await?;
            let seen = metric(&metrics, "managed_objects");
            anyhow::ensure!(seen == managed, "{seen} of {managed}");
            anyhow::ensure!(metric(&metrics, "guard_cut_off") == 0.0, "not reached");
            Ok(())
        })
        .await?;
    }

    let ca = webhook_ca(&cluster).await?;
    let (at_leader, at_standby) = (
        WebhookClient::new(leader.webhook_addr(), &ca)?,
        WebhookClient::new(standby.webhook_addr(), &ca)?,
    );
    let (_child, baseline) = baseline::start().await?;

    let reviews = |service: &'static str| {
        let (template, mut last) = (template.clone(), 0);
        move || -> Vec<Bytes> {
            let mut one = || {
                last += 1;
                let (nth, pod) = (last / GOING % SERVICES, last % GOING);
                deletion(&template, &format!("{service}-{nth}"), pod)
            };
            (0..REQUESTS).map(|_| one()).collect()
        }
    };
    let (mut concerned, mut others) = (reviews("many"), reviews("nobodys"));
    println!(
        "{PER_SECOND} deletions a second, {ROUNDS} rounds of {REQUESTS} each; bodies of {} bytes",
        concerned()[0].len()
    );
    let targets = [
        ("without looking", &baseline, "/"),
        ("unconcerned", &at_leader, "/pod-deletion"),
        ("no flip", &at_leader, "/pod-deletion"),
        ("no flip, forwarded", &at_standby, "/pod-deletion"),
    ];
    in_turn(&targets, ROUNDS, |target| if target < 2 { others() } else { concerned() }).await?;

    let splits = splits::api(&cluster, "emojivoto");
    let (mut flips, mut forwarded, mut bare) = (vec![], vec![], vec![]);
    for i in 0..LAST / 3 {
        for (client, took, nth) in
            [(&at_leader, &mut flips, 3 * i), (&at_standby, &mut forwarded, 3 * i + 1)]
        {
            let review = deletion(&template, &format!("last-{nth}"), 0);
            let began = Instant::now();
            client.call("/pod-deletion", review).await?;
            took.push(began.elapsed());
            let split = splits.get(&format!("last-{nth}")).await?;
            anyhow::ensure!(split.data["spec"]["backends"][0]["weight"] == 0, "it has not flipped");
        }
        let patch = json!([{"op": "replace", "path": "/spec/backends/1/weight", "value": 1}]);
        let patch = Patch::<()>::Json(serde_json::from_value(patch)?);
        let name = format!("last-{}", 3 * i + 2);
        let began = Instant::now();
        splits.patch(&name, &PatchParams::default(), &patch).await?;
        bare.push(began.elapsed());
    }
    println!("deletions that flip, {} of each, one at a time", LAST / 3);
    print_beside_first(&["bare patch", "flip", "flip, forwarded"], vec![bare, flips, forwarded]);
    for replica in [leader, standby] {
        let metrics = replica.get("/metrics").await?;
        for line in metrics.lines().filter(|l| l.starts_with("linkerd_failover_guard_deletions")) {
            println!("  {} {line}", replica.name());
        }
    }
    drop(installation);
    cluster.stop().await
}

/// The replica that leads, and the other.
async fn replicas<'a>(
    cluster: &Cluster,
    installation: &'a Installation,
) -> Result<(&'a Replica, &'a Replica)> {
    let leases: Api<Lease> = Api::namespaced(cluster.client(), "linkerd-failover");
    let lease = leases.get("linkerd-failover").await?;
    let holder = lease.spec.and_then(|spec| spec.holder_identity).context("nobody leads")?;
    let [one, two] = installation.replicas() else { anyhow::bail!("expected two replicas") };
    Ok(if one.name() == holder { (one, two) } else { (two, one) })
}

/// A pod as the API server has it, with all that a kubelet wrote.
async fn template(workload: &Workload<'_>) -> Result<Value> {
    let pods: Api<Pod> = workload.api();
    let pod = pods.list(&ListParams::default()).await?.items.into_iter().next();
    Ok(serde_json::to_value(pod.context("no pod")?)?)
}

fn uid(service: &str, pod: usize) -> String {
    let hash = service.bytes().fold(7_u64, |hash, b| hash.wrapping_mul(31) + u64::from(b));
    let text = format!("{hash:016x}{pod:016x}");
    let (a, b, c, d, e) = (&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]);
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// A primary with so many pods that exist in its slice only, and a split with emoji-svc-west beside it.
async fn primary(workload: &Workload<'_>, name: String, pods: usize) -> Result<()> {
    let endpoint = |pod: usize| {
        json!({"addresses": [format!("10.9.{}.{}", pod / 250, pod % 250 + 1)],
            "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "namespace": "emojivoto",
                "name": format!("{name}-{pod}"), "uid": uid(&name, pod)}})
    };
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": name}, "spec": {"ports": [{"name": "grpc", "port": 8080}]},
    }))?;
    let slice: EndpointSlice = serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4", "ports": [{"name": "grpc", "port": 8080, "protocol": "TCP"}],
        "endpoints": (0..pods).map(endpoint).collect::<Vec<_>>(),
    }))?;
    let params = PostParams::default();
    workload.api().create(&params, &service).await?;
    workload.api().create(&params, &slice).await?;
    let splits = splits::api(workload.cluster(), workload.namespace());
    splits::create(&splits, splits::split(&name, &name, [&name, "emoji-svc-west"])).await
}

/// The review of a pod's deletion, as the API server makes it.
fn deletion(template: &Value, service: &str, pod: usize) -> Bytes {
    let mut old = template.clone();
    old["metadata"]["name"] = json!(format!("{service}-{pod}"));
    old["metadata"]["uid"] = json!(uid(service, pod));
    let user = json!({"username": "system:serviceaccount:kube-system:replicaset-controller",
        "groups": ["system:serviceaccounts", "system:authenticated"]});
    let options = json!({"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1",
        "gracePeriodSeconds": 30});
    Bytes::from(review(&POD, "DELETE", &Value::Null, &old, &user, &options).to_string())
}
