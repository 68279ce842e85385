//! What the simulated API server has: manifests, as a person or a controller would write them.

use crate::kinds::ObjectKey;
use serde_json::{Value, json};

/// The resources that enter an index, in the order in which a LIST of several of them comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Resource {
    TrafficSplit,
    Service,
    EndpointSlice,
    ServiceProfile,
}

impl Resource {
    /// An object of this resource.
    pub(crate) fn key(self, key: ObjectKey) -> Key {
        (self, key)
    }
}

/// An object among all of a cluster.
pub(crate) type Key = (Resource, ObjectKey);

/// What the API server keeps of an object, and the manifest that it gives out. The API server itself
/// adds name, namespace and version.
pub(crate) trait Content: Clone {
    fn manifest(&self, resource: Resource) -> Value;
}

/// As it was written.
impl Content for Value {
    fn manifest(&self, _: Resource) -> Value {
        self.clone()
    }
}

/// A manifest as the API server gives it out.
pub(crate) fn served(content: &impl Content, (resource, key): &Key, version: u64) -> Value {
    let mut manifest = content.manifest(*resource);
    let metadata = &mut manifest["metadata"];
    metadata["name"] = json!(&*key.name);
    metadata["namespace"] = json!(&*key.namespace);
    metadata["resourceVersion"] = json!(version.to_string());
    manifest
}

/// A Service with these ports.
pub(crate) fn service(ports: &[(&str, u16)]) -> Value {
    let port = |(name, number): &(&str, u16)| json!({"name": name, "port": number});
    json!({"metadata": {}, "spec": {"ports": ports.iter().map(port).collect::<Vec<_>>()}})
}

/// A slice of a Service that offers these ports.
pub(crate) fn slice(service: &str, ports: &[&str], endpoints: Vec<Value>) -> Value {
    let ports: Vec<Value> = ports.iter().map(|name| json!({"name": name})).collect();
    json!({"addressType": "IPv4", "ports": ports, "endpoints": endpoints,
        "metadata": {"labels": {"kubernetes.io/service-name": service}}})
}

/// So many ready endpoints, by their addresses, whose first two numbers are these.
pub(crate) fn ready_endpoints(network: &str, ready: usize) -> Vec<Value> {
    (0..ready).map(|i| json!({"addresses": [format!("{network}.0.{i}")]})).collect()
}

/// A TrafficSplit of its first backend, with these weights.
pub(crate) fn split(backends: &[(&str, u64)]) -> Value {
    let apex = backends[0].0;
    let backend = |(name, weight): &(&str, u64)| json!({"service": name, "weight": weight});
    let backends: Vec<Value> = backends.iter().map(backend).collect();
    json!({"apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {"uid": "u"}, "spec": {"service": apex, "backends": backends}})
}
