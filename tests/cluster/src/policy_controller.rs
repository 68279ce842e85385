//! Linkerd's policy controller, as far as the status of routes goes.

use crate::cluster::Cluster;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::jiff::Timestamp;
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How it signs what it writes.
const NAME: &str = "linkerd.io/policy-controller";
const INTERVAL: Duration = Duration::from_millis(250);

/// Accepts every route whose parents are Services, and resolves backends that exist, until it is
/// dropped.
#[derive(Debug)]
pub struct PolicyController(JoinHandle<()>);

impl PolicyController {
    /// Starts it in a cluster that has the Gateway API.
    pub fn start(cluster: &Cluster) -> Self {
        let client = cluster.client();
        Self(tokio::spawn(async move {
            loop {
                for kind in ["HTTPRoute", "GRPCRoute"] {
                    // What fails now, a conflict or an API server that is away, is tried again.
                    let _ = write_statuses(&client, kind).await;
                }
                tokio::time::sleep(INTERVAL).await;
            }
        }))
    }
}

impl Drop for PolicyController {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn write_statuses(client: &Client, kind: &str) -> anyhow::Result<()> {
    let resource =
        ApiResource::from_gvk(&GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", kind));
    let all: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let routes = all.list(&ListParams::default()).await?.items;
    if routes.is_empty() {
        return Ok(());
    }
    let services: Api<Service> = Api::all(client.clone());
    let services: BTreeSet<(String, String)> = services
        .list(&ListParams::default())
        .await?
        .iter()
        .map(|service| (service.namespace().unwrap_or_default(), service.name_any()))
        .collect();
    for route in routes {
        let parents = parents(&route, &services);
        if parents.is_empty() || same(&route.data["status"]["parents"], &parents) {
            continue;
        }
        let namespace = route.namespace().unwrap_or_default();
        let routes: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), &namespace, &resource);
        let status = Patch::Merge(json!({ "status": { "parents": parents } }));
        routes.patch_status(&route.name_any(), &PatchParams::default(), &status).await?;
    }
    Ok(())
}

/// The status of each parent that is a Service.
fn parents(route: &DynamicObject, services: &BTreeSet<(String, String)>) -> Vec<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let rules = list(&route.data["spec"]["rules"]);
    let backends = rules.iter().flat_map(|rule| list(&rule["backendRefs"]));
    let mut missing = backends.filter(|backend| {
        let own = route.namespace().unwrap_or_default();
        let namespace = backend["namespace"].as_str().unwrap_or(&own).to_owned();
        let name = backend["name"].as_str().unwrap_or_default().to_owned();
        !services.contains(&(namespace, name))
    });
    let resolved = match missing.next() {
        None => condition("ResolvedRefs", "True", "ResolvedRefs"),
        Some(_) => condition("ResolvedRefs", "False", "BackendNotFound"),
    };
    let of_service = |parent: &Value| parent["kind"] == "Service";
    list(&route.data["spec"]["parentRefs"])
        .into_iter()
        .filter(of_service)
        .map(|parent| {
            let accepted = condition("Accepted", "True", "Accepted");
            json!({ "controllerName": NAME, "parentRef": parent, "conditions": [accepted, resolved] })
        })
        .collect()
}

fn condition(kind: &str, status: &str, reason: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": "",
        "lastTransitionTime": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    })
}

/// Whether that is written already, whenever it became so.
fn same(written: &Value, parents: &[Value]) -> bool {
    let timeless = |parents: &[Value]| {
        let mut parents = parents.to_vec();
        let conditions =
            parents.iter_mut().filter_map(|parent| parent["conditions"].as_array_mut());
        for condition in conditions.flatten() {
            condition["lastTransitionTime"].take();
        }
        parents
    };
    written.as_array().is_some_and(|written| timeless(written) == timeless(parents))
}
