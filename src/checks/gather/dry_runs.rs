//! Two creations that nothing is stored of: the webhook has to default the one and to refuse the other.

use super::not_known;
use crate::checks::facts::{DryRun, DryRuns};
use crate::engine::annotations;
use crate::kinds::{Kind, ObjectKey};
use crate::snapshot::{Settings, Snapshot};
use kube::api::PostParams;
use kube::core::DynamicObject;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

/// Makes both; none where there is no Service to name, no kind to make, or no label that the selector matches.
pub(super) async fn make(
    client: &Client,
    settings: &Settings,
    snapshot: &Snapshot,
) -> Option<DryRuns> {
    let (kind, version) = kind(snapshot)?;
    let service = service(settings, snapshot)?;
    let labels = settings.watch.selector.example()?;
    let resource = kind.api_resource(version);
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &service.namespace, &resource);
    let object = |annotations: Value| {
        json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {
                "name": format!("{}-check", settings.installation.name),
                "namespace": &*service.namespace,
                "labels": labels,
                "annotations": annotations,
            },
            "spec": spec(kind, &service.name, port(snapshot, &service)),
        })
    };
    let good = object(json!({}));
    let bad = object(json!({annotations::FAILOVER_DELAY: "no-duration"}));
    let (good, bad) = tokio::join!(create(&api, good), create(&api, bad));
    Some(DryRuns { good, bad })
}

/// A split where the cluster has it, else a route.
fn kind(snapshot: &Snapshot) -> Option<(Kind, &'static str)> {
    Kind::ALL.into_iter().find_map(|kind| Some((kind, snapshot.index.served(kind)?)))
}

/// A Service that callers of a managed object call already, else the webhook's own.
fn service(settings: &Settings, snapshot: &Snapshot) -> Option<ObjectKey> {
    let apexes = snapshot
        .index
        .objects()
        .flat_map(|(object, managed)| managed.apexes().iter().map(|apex| object.beside(apex)));
    let own = &settings.installation;
    let webhook = ObjectKey::new(&own.namespace, format!("{}-webhook", own.name));
    let is_there =
        |service: &ObjectKey| snapshot.index.service(service).is_some_and(|s| !s.ports.is_empty());
    apexes.filter(is_there).min().or_else(|| Some(webhook).filter(is_there))
}

fn port(snapshot: &Snapshot, service: &ObjectKey) -> i32 {
    let ports = snapshot.index.service(service).map(|facts| facts.ports.as_slice());
    ports.and_then(|ports| ports.first()).map_or(80, |port| port.number)
}

fn spec(kind: Kind, service: &str, port: i32) -> Value {
    match kind.needs_service_profile() {
        true => json!({"service": service, "backends": [{"service": service, "weight": 1}]}),
        false => json!({
            "parentRefs": [{"group": "core", "kind": "Service", "name": service, "port": port}],
            "rules": [{"backendRefs": [{"name": service, "port": port}]}],
        }),
    }
}

async fn create(api: &Api<DynamicObject>, object: Value) -> DryRun {
    let object = match serde_json::from_value(object) {
        Ok(object) => object,
        Err(error) => return DryRun::NotCalled(error.to_string()),
    };
    let params = PostParams { dry_run: true, ..PostParams::default() };
    match api.create(&params, &object).await {
        Ok(made) => {
            let defaulted = made.annotations().contains_key(annotations::PRIMARY_SERVICE);
            DryRun::Admitted { defaulted }
        }
        Err(error) => refusal(&error),
    }
}

/// The API server refuses for want of a right, by a webhook or a policy, or since it cannot call a webhook.
fn refusal(error: &kube::Error) -> DryRun {
    match error {
        kube::Error::Api(status) if status.message.contains("failed calling webhook") => {
            DryRun::NotCalled(status.message.clone())
        }
        kube::Error::Api(status)
            if status.message.contains("denied the request")
                || status.message.contains("ValidatingAdmissionPolicy") =>
        {
            DryRun::Refused(status.message.clone())
        }
        other => DryRun::NotKnown(not_known(other)),
    }
}
