//! Namespaces, Services, slices and failover objects.

use super::manifest::{object, plain_service, service, slice};
use super::objects::{Declared, NAMESPACES, ServiceSpec, Source, namespace};
use super::start::World;
use crate::facts::{ObjectKind, Side};
use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject};
use serde_json::{Value, json};
use test_cluster::{Cluster, Deployment, Workload, eventually};

/// Whose writes an author's are.
const AUTHOR: &str = "chaos-author";
/// So many requests at once.
const AT_ONCE: usize = 12;
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// As the API has it.
pub fn resource(kind: ObjectKind) -> ApiResource {
    let (group, version, plural) = kind.resource();
    ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: format!("{group}/{version}"),
        kind: kind.name().into(),
        plural: plural.into(),
    }
}

/// Objects of one kind in a namespace of the east.
pub fn api(world: &World, kind: ObjectKind, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(world.east.client(), namespace, &resource(kind))
}

/// An author applies an object as the seed made it.
pub async fn apply(world: &World, declared: &Declared) -> kube::Result<()> {
    let id = &declared.id;
    let params = PatchParams::apply(AUTHOR).force();
    let patch = Patch::Apply(object(declared));
    api(world, id.kind, &id.namespace).patch(&id.name, &params, &patch).await.map(drop)
}

/// Makes all of it.
pub(super) async fn create(world: &World) -> anyhow::Result<()> {
    for side in [Side::East, Side::West] {
        for nth in 0..NAMESPACES {
            Workload::new(world.cluster(side), &namespace(nth)).await?;
        }
    }
    let apexes = world
        .declarations
        .objects
        .iter()
        .map(|object| plain_service(&object.id.namespace, &object.apex, &json!({})));
    let made: Vec<(&Cluster, Value)> = world
        .declarations
        .services
        .iter()
        .filter(|spec| spec.source != Source::GuardedPods)
        .map(|spec| (world.cluster(spec.side), service(spec)))
        .chain(apexes.map(|apex| (&world.east, apex)))
        .collect();
    stream::iter(made.into_iter().map(|(cluster, value)| create_service(cluster, value)))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    let slices = world.declarations.services.iter().filter(|spec| spec.source == Source::Slice);
    stream::iter(slices.map(|spec| create_slice(world, spec)))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    for spec in &world.declarations.services {
        if spec.source == Source::GuardedPods {
            guarded(world, spec).await?;
        }
    }
    stream::iter(world.declarations.objects.iter().map(|declared| async move {
        let what = format!("{} is applied", declared.id);
        eventually(&what, PATIENCE, || async {
            Ok::<_, anyhow::Error>(apply(world, declared).await?)
        })
        .await
    }))
    .buffer_unordered(AT_ONCE)
    .try_collect::<Vec<_>>()
    .await?;
    Ok(())
}

async fn create_service(cluster: &Cluster, value: Value) -> anyhow::Result<()> {
    let service: Service = serde_json::from_value(value)?;
    let namespace = service.metadata.namespace.clone().context("no namespace")?;
    let services: Api<Service> = Api::namespaced(cluster.client(), &namespace);
    services.create(&Default::default(), &service).await?;
    Ok(())
}

async fn create_slice(world: &World, spec: &ServiceSpec) -> anyhow::Result<()> {
    let text = slice(&spec.namespace, &spec.name, spec.endpoints);
    let slices: Api<EndpointSlice> =
        Api::namespaced(world.cluster(spec.side).client(), &spec.namespace);
    slices.create(&Default::default(), &serde_json::from_value(text)?).await?;
    Ok(())
}

/// Its pods bear the label that the deletion guard goes by.
async fn guarded(world: &World, spec: &ServiceSpec) -> anyhow::Result<()> {
    let workload = Workload::new(&world.east, &spec.namespace).await?;
    let label = "failover.linkerd.io/guard";
    let deployment = Deployment::new(spec.name.trim_end_matches("-svc"))
        .replicas(spec.endpoints)
        .pod_label(label, "enabled")
        .grace_seconds(30);
    workload.deploy_as(&deployment).await
}

/// The ServiceAccount `alertmanager` may declare Services of every namespace of the run down.
pub(super) async fn allow_alerts(world: &World) -> anyhow::Result<()> {
    let subject =
        json!({ "kind": "ServiceAccount", "name": "alertmanager", "namespace": "monitoring" });
    let items = json!([
        { "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "monitoring" } },
        {
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": { "name": "alertmanager", "namespace": "monitoring" },
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": { "name": "chaos-alerts" },
            "rules": [{ "apiGroups": [""], "resources": ["services"], "verbs": ["patch"] }],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": "chaos-alerts" },
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "chaos-alerts",
            },
            "subjects": [subject],
        },
    ]);
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    world.east.apply(&list.to_string()).await.map(drop)
}
