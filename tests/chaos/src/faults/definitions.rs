//! Faults of what the API server knows: definitions and namespaces that go.

use super::writers::put_right;
use super::{Made, insist};
use crate::facts::{Fact, ObjectKind};
use crate::world::manifest::{LABEL, plain_service, slice};
use crate::world::objects::Declared;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use std::time::Duration;

const GONE: &str = "chaos-gone";

/// GRPCRoute goes with all its objects, and comes back.
pub(super) async fn remove(made: Made<'_>) -> anyhow::Result<()> {
    let world = made.world;
    let objects = &world.declarations.objects;
    let routes: Vec<&Declared> =
        objects.iter().filter(|object| object.id.kind == ObjectKind::GrpcRoute).collect();
    let admission = world.disturbances.admission();
    for declared in &routes {
        world.journal.fact(Fact::Meddled { object: declared.id.clone(), at: world.clock.now() });
    }
    let name = "grpcroutes.gateway.networking.k8s.io";
    let deleted =
        ["delete", "customresourcedefinition", name, "--wait=false", "--ignore-not-found"];
    let _ = world.east.kubectl(deleted).ok().await;
    made.last().await;
    // One that is still going would be taken for the new one, and go.
    let wait = ["delete", "customresourcedefinition", name, "--timeout=20s", "--ignore-not-found"];
    insist("the definition of GRPCRoute is gone", || async {
        world.east.kubectl(wait).ok().await.map(drop)
    })
    .await?;
    insist("GRPCRoute is served again", || world.east.install_gateway_api_crds()).await?;
    for declared in routes {
        put_right(world, declared).await?;
    }
    drop(admission);
    Ok(())
}

/// A namespace with a Service and ten splits is made, and deleted while it fails over.
pub(super) async fn delete_namespace(made: Made<'_>) -> anyhow::Result<()> {
    let world = made.world;
    let mut items =
        vec![json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": GONE } })];
    for service in ["primary", "fallback"] {
        items.push(plain_service(GONE, service, &json!({})));
        items.push(slice(GONE, service, 1));
    }
    items.extend((0..10).map(split));
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    let _ = world.east.apply(&list.to_string()).await;
    let _ = world.set_ready(GONE, "primary", 0).await;
    tokio::time::sleep(made.fault.length / 2).await;
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(world.east.client());
    insist("the namespace is gone", || async {
        match namespaces.delete(GONE, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Ok(_) => {
                tokio::time::sleep(Duration::from_millis(500)).await;
                anyhow::bail!("it is going")
            }
            Err(error) => Err(error.into()),
        }
    })
    .await
}

fn split(nth: usize) -> Value {
    json!({
        "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {
            "name": format!("gone-{nth}"), "namespace": GONE, "labels": { LABEL.0: LABEL.1 },
        },
        "spec": {
            "service": "primary",
            "backends": [
                { "service": "primary", "weight": 1 }, { "service": "fallback", "weight": 0 },
            ],
        },
    })
}
