//! How long the deletion of a pod is delayed, at a steady 200 deletions a second, beside a handler that
//! answers without looking; and, where it flips, beside the bare patch.

use super::takeover::leader;
use crate::support::bench::{PATIENCE, Site};
use crate::support::empty_handler;
use crate::support::figures::{Name, beside};
use crate::support::load::{REQUESTS, WebhookClient, beside_first, in_turn};
use crate::support::options::Options;
use crate::support::pair::{admin, create};
use crate::support::process::metric;
use crate::support::reviews::{POD, review};
use crate::support::subject::{FALLBACK, Named, Subject};
use anyhow::{Context, Result, ensure};
use axum::body::Bytes;
use bench_table::Row;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::DynamicObject;
use linkerd_failover::kinds::traffic_split;
use serde_json::{Value, json};
use std::time::Instant;
use test_cluster::{Cluster, Installation, Workload, eventually, webhook_ca};

const NAMESPACE: &str = "guarded";
/// Primaries with many pods, of which a fifth never goes: no deletion changes the decision.
const SERVICES: usize = 100;
const PODS: usize = 100;
const GOING: usize = 80;
/// Primaries with one pod, whose deletion does.
const LAST: usize = 150;

pub(super) async fn measure(site: Site<'_>) -> Result<Vec<Row>> {
    let Site { options, cluster, installation } = site;
    let workload = Workload::new(cluster, NAMESPACE).await?;
    // Deletions in others are not believed.
    let label = ["label", "namespace", NAMESPACE, "failover.linkerd.io/guard=enabled"];
    cluster.kubectl(label).ok().await?;
    workload.deploy_emoji(1).await?;
    workload.service_with_slice(FALLBACK, 1).await?;
    let template = template(&workload).await?;
    let managed = managed_objects(installation).await? + (SERVICES + LAST) as f64;
    grow(cluster).await?;
    eventually("every replica has seen every split, and reaches the leader", PATIENCE, || async {
        for replica in installation.replicas() {
            let metrics = replica.get("/metrics").await?;
            let seen = metric(&metrics, "managed_objects");
            ensure!(seen == managed, "{seen} of {managed}");
            ensure!(metric(&metrics, "guard_cut_off") == 0.0, "not reached");
        }
        Ok::<_, anyhow::Error>(())
    })
    .await?;

    let leader = leader(cluster, installation).await?;
    let mut replicas = installation.replicas().iter();
    let standby = replicas.find(|replica| replica.name() != leader.name()).context("no standby")?;
    let ca = webhook_ca(cluster).await?;
    let at_leader = WebhookClient::new(leader.webhook_addr(), &ca)?;
    let at_standby = WebhookClient::new(standby.webhook_addr(), &ca)?;
    let mut rows = steady(options, &template, &at_leader, &at_standby).await?;
    rows.extend(flips(cluster, &template, &at_leader, &at_standby).await?);
    Ok(rows)
}

/// Deletions after which nothing has to flip.
async fn steady(
    options: &Options,
    template: &Value,
    at_leader: &WebhookClient,
    at_standby: &WebhookClient,
) -> Result<Vec<Row>> {
    let (_child, empty) = empty_handler::start().await?;
    let path = "/pod-deletion";
    let targets = [(&empty, "/"), (at_leader, path), (at_leader, path), (at_standby, path)];
    let (mut concerned, mut others) =
        (Deletions::of(template, "many"), Deletions::of(template, "nobodys"));
    let reviews = |target| if target < 2 { others.round() } else { concerned.round() };
    let rounds = in_turn(&targets, options.budget(12, 10), reviews).await?;
    let mut rows = vec![];
    for (target, id, title) in [
        (1, "guard-unconcerned", "deletion of a pod that nobody rests on"),
        (2, "guard-leader", "deletion without a flip, answered by the leader"),
        (3, "guard-forwarded", "deletion without a flip, forwarded to the leader"),
    ] {
        let rounds = beside_first(&rounds, target);
        for (percentile, share) in [("p50", 0.5), ("p99", 0.99)] {
            let (id, title) = (format!("{id}-{percentile}"), format!("{title}, {percentile}"));
            let row = beside(Name::milliseconds(&id, &title), &rounds, share)?;
            rows.push(if target == 3 { row.aim(1.5) } else { row });
        }
    }
    Ok(rows)
}

/// Deletions of last pods, one at a time.
async fn flips(
    cluster: &Cluster,
    template: &Value,
    at_leader: &WebhookClient,
    at_standby: &WebhookClient,
) -> Result<Vec<Row>> {
    let splits: Api<DynamicObject> =
        Api::namespaced_with(cluster.client(), NAMESPACE, &traffic_split::api_resource());
    let (mut led, mut forwarded) = (vec![], vec![]);
    for i in 0..LAST / 3 {
        let mut took = [0.0; 2];
        for (n, client) in [at_leader, at_standby].into_iter().enumerate() {
            let name = format!("last-{}", 3 * i + n);
            let review = deletion(template, &name, 0);
            let began = Instant::now();
            client.call("/pod-deletion", review).await?;
            took[n] = began.elapsed().as_secs_f64();
            let split = splits.get(&name).await?;
            ensure!(split.data["spec"]["backends"][0]["weight"] == 0, "{name} has not flipped");
        }
        let patch = json!([{"op": "replace", "path": "/spec/backends/1/weight", "value": 1}]);
        let patch = Patch::<()>::Json(serde_json::from_value(patch)?);
        let began = Instant::now();
        splits.patch(&format!("last-{}", 3 * i + 2), &PatchParams::default(), &patch).await?;
        let bare = began.elapsed().as_secs_f64();
        led.push([vec![took[0]], vec![bare]]);
        forwarded.push([vec![took[1]], vec![bare]]);
    }
    let title = "deletion with a flip, beside the bare patch, p50";
    let here = Name::milliseconds("guard-flip-p50", title);
    let title = "the same, forwarded to the leader, p50";
    let there = Name::milliseconds("guard-flip-forwarded-p50", title);
    Ok(vec![beside(here, &led, 0.5)?, beside(there, &forwarded, 0.5)?])
}

async fn managed_objects(installation: &Installation) -> Result<f64> {
    let metrics = installation.replicas()[0].get("/metrics").await?;
    Ok(metric(&metrics, "managed_objects"))
}

/// A pod as the API server has it, with all that a kubelet wrote.
async fn template(workload: &Workload<'_>) -> Result<Value> {
    let pods: Api<Pod> = workload.api();
    let pod = pods.list(&ListParams::default()).await?.items.into_iter().next();
    Ok(serde_json::to_value(pod.context("no pod")?)?)
}

async fn grow(cluster: &Cluster) -> Result<()> {
    let client = &admin(cluster).await?;
    let many = (0..SERVICES).map(|i| (format!("many-{i}"), PODS));
    let last = (0..LAST).map(|i| (format!("last-{i}"), 1));
    let made = many.chain(last).map(|(name, pods)| primary(client, name, pods));
    stream::iter(made).buffer_unordered(8).try_collect().await
}

/// A primary with so many pods that exist in its slice only, and a split with the fallback beside it.
async fn primary(client: &kube::Client, name: String, pods: usize) -> Result<()> {
    let endpoint = |pod: usize| {
        json!({"addresses": [format!("10.9.{}.{}", pod / 250, pod % 250 + 1)],
            "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "namespace": NAMESPACE,
                "name": format!("{name}-{pod}"), "uid": uid(&name, pod)}})
    };
    let service = json!({"metadata": {"name": name},
        "spec": {"ports": [{"name": "grpc", "port": 8080}]}});
    let slice = json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4", "ports": [{"name": "grpc", "port": 8080, "protocol": "TCP"}],
        "endpoints": (0..pods).map(endpoint).collect::<Vec<_>>(),
    });
    let of_slices = format!("/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices");
    create(client, &format!("/api/v1/namespaces/{NAMESPACE}/services"), service).await?;
    create(client, &of_slices, slice).await?;
    let (primary, apex) = (name.as_str(), name.clone());
    let named = Named { namespace: NAMESPACE, name: name.clone(), apex, primary };
    let split = Subject::Split.manifest(&named, true);
    create(client, &Subject::Split.within(NAMESPACE), split).await
}

fn uid(service: &str, pod: usize) -> String {
    let hash = service.bytes().fold(7_u64, |hash, b| hash.wrapping_mul(31) + u64::from(b));
    let text = format!("{hash:016x}{pod:016x}");
    let (a, b, c, d, e) = (&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]);
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// Of the pods of one Service after another, each as often as the others.
struct Deletions<'a> {
    template: &'a Value,
    service: &'static str,
    last: usize,
}

impl<'a> Deletions<'a> {
    fn of(template: &'a Value, service: &'static str) -> Self {
        Self { template, service, last: 0 }
    }

    fn round(&mut self) -> Vec<Bytes> {
        let one = |_| {
            self.last += 1;
            let (nth, pod) = (self.last / GOING % SERVICES, self.last % GOING);
            deletion(self.template, &format!("{}-{nth}", self.service), pod)
        };
        (0..REQUESTS).map(one).collect()
    }
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
