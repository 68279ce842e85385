//! The kinds of object that the demo can use.

use anyhow::{Result, bail};
use kube::Api;
use kube::core::DynamicObject;
use linkerd_failover::kinds::{Kind, traffic_split};
use test_cluster::Cluster;

/// What differs between a TrafficSplit and an HTTPRoute, as far as the story goes.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    pub kind: Kind,
    /// Of the correct manifest and of the four that are refused, whose names begin with `bad-`.
    pub folder: &'static str,
    pub manifest: &'static str,
    /// The object, as the program's commands take it.
    pub object: &'static str,
    /// kubectl's columns that show the weights.
    pub columns: &'static str,
    /// What `check` finds although all is well: Linkerd itself does not run here.
    pub faults: &'static [&'static str],
    /// Values of the chart beside those of every form.
    pub values: &'static [&'static str],
    /// JSON pointer to the backends.
    backends: &'static str,
}

const SPLIT: Form = Form {
    kind: Kind::TrafficSplit,
    folder: "manifests/examples",
    manifest: "emojivoto-split.yaml",
    object: "trafficsplit/emoji-svc",
    columns: "custom-columns=NAME:.metadata.name,BACKENDS:.spec.backends[*].service,WEIGHTS:.spec.backends[*].weight",
    faults: &[],
    // Nothing else carries a split into Linkerd here.
    values: &["serviceProfiles.manage=true"],
    backends: "/spec/backends",
};

const HTTP: Form = Form {
    kind: Kind::HttpRoute,
    folder: "manifests/examples/http",
    manifest: "emojivoto-route.yaml",
    object: "httproute/emoji-svc",
    columns: "custom-columns=NAME:.metadata.name,BACKENDS:.spec.rules[*].backendRefs[*].name,WEIGHTS:.spec.rules[*].backendRefs[*].weight",
    faults: &["\u{d7} Linkerd routes by each route"],
    values: &[],
    backends: "/spec/rules/0/backendRefs",
};

impl Form {
    /// By `ROUTE`: a split, or with `http` a route.
    pub(crate) fn chosen() -> Result<Self> {
        match std::env::var("ROUTE").unwrap_or_default().as_str() {
            "" | "split" => Ok(SPLIT),
            "http" => Ok(HTTP),
            other => bail!("ROUTE: found {other:?}, expected http, or nothing for a TrafficSplit"),
        }
    }

    /// Installs the kind's definition, and for a split that of what Linkerd reads in its place.
    pub(crate) async fn define(self, cluster: &Cluster) -> Result<()> {
        match self.kind {
            Kind::TrafficSplit => {
                cluster.install_traffic_split_crd().await?;
                cluster.install_service_profile_crd().await
            }
            _ => cluster.install_gateway_api_crds().await,
        }
    }

    pub(crate) fn api(self, cluster: &Cluster, namespace: &str) -> Api<DynamicObject> {
        let resource = match self.kind {
            Kind::TrafficSplit => traffic_split::api_resource(),
            kind => kind.api_resource(kind.versions()[0]),
        };
        Api::namespaced_with(cluster.client(), namespace, &resource)
    }

    /// As kubectl takes it.
    pub(crate) fn resource(self) -> String {
        self.kind.resource()
    }

    /// What shows what Linkerd goes by, where that is another object.
    pub(crate) fn carried(self) -> Option<[&'static str; 4]> {
        const COLUMNS: &str = "custom-columns=NAME:.metadata.name,AUTHORITIES:.spec.dstOverrides[*].authority,WEIGHTS:.spec.dstOverrides[*].weight";
        (self.kind == Kind::TrafficSplit).then_some(["get", "serviceprofiles", "-o", COLUMNS])
    }

    pub(crate) fn weights(self, object: &DynamicObject) -> Vec<u64> {
        let backends = object.data.pointer(self.backends).and_then(|b| b.as_array());
        backends.into_iter().flatten().filter_map(|b| b["weight"].as_u64()).collect()
    }
}
