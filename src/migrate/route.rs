//! The routes of a split, as manifests.

use crate::kinds::ObjectKey;
use crate::migrate::migration::Migration;
use serde::Serialize;
use std::collections::BTreeMap;

/// Kinds of routes that Linkerd reads for a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum RouteKind {
    #[serde(rename = "HTTPRoute")]
    Http,
    #[serde(rename = "GRPCRoute")]
    Grpc,
}

impl RouteKind {
    /// The name of the resource, as kubectl has it.
    fn resource(self) -> &'static str {
        match self {
            Self::Http => "httproutes.gateway.networking.k8s.io",
            Self::Grpc => "grpcroutes.gateway.networking.k8s.io",
        }
    }
}

/// A manifest, and the steps that its reader takes.
#[derive(Debug)]
pub(crate) struct Route {
    comment: String,
    manifest: Manifest,
}

impl Route {
    /// A route for each port: one for all ports would need all of them on every backend.
    pub(crate) fn for_each_port(
        migration: &Migration,
        kind: RouteKind,
        ports: &[u16],
    ) -> Vec<Self> {
        let route = |port: &u16| {
            let name = match ports {
                [_] => migration.name.clone(),
                _ => format!("{}-{port}", migration.name),
            };
            Self {
                comment: comment(migration, kind, &name, *port, ports),
                manifest: Manifest::new(migration, kind, name, *port),
            }
        };
        ports.iter().map(route).collect()
    }

    /// Its namespace and name.
    pub(crate) fn key(&self) -> ObjectKey {
        let metadata = &self.manifest.metadata;
        ObjectKey::new(metadata.namespace.as_deref().unwrap_or_default(), &metadata.name)
    }

    /// As a document of YAML.
    pub(crate) fn to_yaml(&self) -> anyhow::Result<String> {
        // Folded values are correct, but hard to read where they are JSON.
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        let manifest = serde_saphyr::to_string_with_options(&self.manifest, options)?;
        Ok(format!("---\n{}{manifest}", self.comment))
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    api_version: &'static str,
    kind: RouteKind,
    metadata: Metadata,
    spec: Spec,
}

impl Manifest {
    fn new(migration: &Migration, kind: RouteKind, name: String, port: u16) -> Self {
        let backend = |(name, weight): &(String, u32)| BackendRef {
            name: name.clone(),
            port,
            weight: *weight,
        };
        let parent = ParentRef { group: "", kind: "Service", name: migration.apex.clone(), port };
        Self {
            api_version: "gateway.networking.k8s.io/v1",
            kind,
            metadata: Metadata {
                name,
                namespace: migration.namespace.clone(),
                labels: migration.labels.clone(),
                annotations: migration.annotations.clone(),
            },
            spec: Spec {
                parent_refs: [parent],
                rules: [Rule { backend_refs: migration.backends.iter().map(backend).collect() }],
            },
        }
    }
}

#[derive(Debug, Serialize)]
struct Metadata {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    parent_refs: [ParentRef; 1],
    rules: [Rule; 1],
}

#[derive(Debug, Serialize)]
struct ParentRef {
    group: &'static str,
    kind: &'static str,
    name: String,
    port: u16,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    backend_refs: Vec<BackendRef>,
}

#[derive(Debug, Serialize)]
struct BackendRef {
    name: String,
    port: u16,
    weight: u32,
}

/// The steps, as comments before the manifest.
fn comment(migration: &Migration, kind: RouteKind, name: &str, port: u16, ports: &[u16]) -> String {
    let split = &migration.name;
    let namespace = migration.namespace.as_deref();
    let at = namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default();
    let kubectl = match namespace {
        Some(namespace) => format!("kubectl -n {namespace}"),
        None => "kubectl".into(),
    };
    let each = match ports {
        [_] => String::new(),
        _ => {
            let all: Vec<_> = ports.iter().map(u16::to_string).collect();
            format!(" (a route for each of {})", all.join(", "))
        }
    };
    let route = kind.resource();
    format!(
        "# In place of TrafficSplit {at}{split}, for port {port}{each}.\n\
         # 1. Apply this. Nothing moves yet: the ServiceProfile of the split takes precedence.\n\
         # 2. Once {kubectl} get {route} {name} -o yaml says Accepted: {kubectl} delete trafficsplits.split.smi-spec.io {split}\n\
         # 3. The route counts when {kubectl} get serviceprofiles.linkerd.io -o yaml has no dstOverrides for {}.\n",
        migration.apex
    )
}
