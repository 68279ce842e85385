//! A change of one key, and what the key is of.

use serde_json::Value;

/// The resources that the observer looks at, by where the API server stores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// `TrafficSplit`.
    Split,
    /// `HTTPRoute`.
    HttpRoute,
    /// `GRPCRoute`.
    GrpcRoute,
    /// `Service`.
    Service,
    /// `EndpointSlice`.
    Slice,
    /// `Pod`.
    Pod,
    /// `Namespace`.
    Namespace,
    /// `Lease`.
    Lease,
}

impl Resource {
    const STORED: [(&str, Self); 8] = [
        ("split.smi-spec.io/trafficsplits/", Self::Split),
        ("gateway.networking.k8s.io/httproutes/", Self::HttpRoute),
        ("gateway.networking.k8s.io/grpcroutes/", Self::GrpcRoute),
        ("services/specs/", Self::Service),
        ("endpointslices/", Self::Slice),
        ("pods/", Self::Pod),
        ("namespaces/", Self::Namespace),
        ("leases/", Self::Lease),
    ];

    /// Whether it is a kind of failover object.
    pub fn is_failover_object(self) -> bool {
        matches!(self, Self::Split | Self::HttpRoute | Self::GrpcRoute)
    }

    /// As people write it before a name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Split => "trafficsplit",
            Self::HttpRoute => "httproute",
            Self::GrpcRoute => "grpcroute",
            Self::Service => "service",
            Self::Slice => "endpointslice",
            Self::Pod => "pod",
            Self::Namespace => "namespace",
            Self::Lease => "lease",
        }
    }
}

/// What a key of etcd stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredKey {
    /// Its resource.
    pub resource: Resource,
    /// Empty for a Namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl StoredKey {
    /// The key of an object.
    pub fn new(resource: Resource, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { resource, namespace: namespace.into(), name: name.into() }
    }

    /// Reads a key of etcd; none where it is of nothing that is looked at.
    pub fn parse(key: &str) -> Option<Self> {
        let rest = key.strip_prefix("/registry/")?;
        let (resource, rest) = Resource::STORED
            .into_iter()
            .find_map(|(prefix, resource)| Some((resource, rest.strip_prefix(prefix)?)))?;
        match rest.split_once('/') {
            Some((namespace, name)) => Some(Self::new(resource, namespace, name)),
            None if resource == Resource::Namespace => Some(Self::new(resource, "", rest)),
            None => None,
        }
    }
}

impl std::fmt::Display for StoredKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { resource, namespace, name } = self;
        match namespace.as_str() {
            "" => write!(f, "{}/{name}", resource.name()),
            _ => write!(f, "{namespace}/{}/{name}", resource.name()),
        }
    }
}

/// One key has another value.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// etcd's revision: orders all changes of a cluster. It is the object's resourceVersion, too.
    pub revision: u64,
    /// What changed.
    pub key: StoredKey,
    /// What it is now; none where it is gone.
    pub value: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_etcd_is_read_by_where_the_api_server_stores_it() {
        let read = |key: &str| StoredKey::parse(key).map(|key| key.to_string());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            read("/registry/gateway.networking.k8s.io/httproutes/ns/a"),
            some("ns/httproute/a")
        );
        assert_eq!(read("/registry/services/specs/ns/a"), some("ns/service/a"));
        assert_eq!(read("/registry/namespaces/ns"), some("namespace/ns"));
        for other in [
            "/registry/services/endpoints/ns/a",
            "/registry/secrets/ns/a",
            "/other",
            "/registry/pods/a",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
