//! What there is of the program: Deployments, pods, the Lease.

use super::not_known;
use crate::checks::facts::Asked;
use crate::kinds::ObjectKey;
use crate::snapshot::Settings;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client};

/// Deployments of the extension that do not run this program.
pub(super) async fn predecessors(client: &Client) -> Asked<Vec<String>> {
    let api: Api<Deployment> = Api::all(client.clone());
    let labelled = ListParams::default().labels("linkerd.io/extension=failover");
    let list = api.list(&labelled).await.map_err(|error| not_known(&error))?;
    let others = list.items.iter().filter(|deployment| !runs_this(deployment));
    Ok(others.map(|deployment| ObjectKey::of(deployment).to_string()).collect())
}

fn runs_this(deployment: &Deployment) -> bool {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    pod.is_some_and(|pod| {
        pod.containers.iter().any(|container| {
            container
                .args
                .as_ref()
                .and_then(|args| args.first())
                .is_some_and(|first| first == "controller")
        })
    })
}

pub(super) async fn pods(client: &Client, settings: &Settings) -> Asked<Vec<Pod>> {
    let own = &settings.installation;
    let api: Api<Pod> = Api::namespaced(client.clone(), &own.namespace);
    let ours = ListParams::default().labels(&format!("failover.linkerd.io/component={}", own.name));
    api.list(&ours).await.map(|list| list.items).map_err(|error| not_known(&error))
}

pub(super) async fn lease(client: &Client, settings: &Settings) -> Asked<Option<Lease>> {
    let own = &settings.installation;
    let api: Api<Lease> = Api::namespaced(client.clone(), &own.namespace);
    api.get_opt(&own.name).await.map_err(|error| not_known(&error))
}
