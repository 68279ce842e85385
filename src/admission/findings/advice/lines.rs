//! Lines to be copied into a shell or a manifest.

use crate::kinds::{Kind, ObjectKey, ObjectRef};

/// Sets annotations of an object, each `name=value`, or `name-` to remove it.
pub(super) fn annotate(object: &ObjectRef, annotations: &str) -> String {
    on(&object.kind.resource(), &object.key, annotations)
}

/// The same of a Service.
pub(super) fn annotate_service(service: &ObjectKey, annotations: &str) -> String {
    on("service", service, annotations)
}

/// The same of a Service where one is given, otherwise of the object.
pub(super) fn annotate_either(
    object: &ObjectRef,
    service: Option<&ObjectKey>,
    annotations: &str,
) -> String {
    match service {
        Some(service) => annotate_service(service, annotations),
        None => annotate(object, annotations),
    }
}

fn on(resource: &str, key: &ObjectKey, annotations: &str) -> String {
    let (namespace, name) = (&key.namespace, &key.name);
    format!("kubectl annotate --overwrite {resource} -n {namespace} {name} {annotations}")
}

pub(super) fn delete(resource: &str, key: &ObjectKey) -> String {
    format!("kubectl delete {resource} -n {} {}", key.namespace, key.name)
}

/// Prints the route for a split, with the steps to take.
pub(super) fn migrate(split: &ObjectRef) -> String {
    let (resource, key) = (split.kind.resource(), &split.key);
    format!(
        "kubectl get {resource} -n {} {} -o yaml | linkerd-failover migrate -f -",
        key.namespace, key.name
    )
}

/// The endpoints of a Service.
pub(super) fn endpoints(service: &ObjectKey) -> String {
    format!(
        "kubectl get endpointslices -n {} -l kubernetes.io/service-name={}",
        service.namespace, service.name
    )
}

/// A backend without traffic, as it stands in the list of a set.
pub(super) fn backend(
    object: &ObjectRef,
    service: Option<&ObjectKey>,
    port: Option<u16>,
) -> String {
    if object.kind == Kind::TrafficSplit {
        let name = service.map_or("<fallback>", |service| &service.name);
        return format!("- {{service: {name}, weight: 0}}");
    }
    let own = |service: &&ObjectKey| service.namespace == object.key.namespace;
    let namespace = service.filter(|service| !own(service));
    let namespace = namespace.map(|s| format!("namespace: {}, ", s.namespace)).unwrap_or_default();
    let name = service.map_or("<fallback>", |service| &service.name);
    let port = port.map_or("<port>".to_owned(), |port| port.to_string());
    format!("- {{name: {name}, {namespace}port: {port}, weight: 0}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_in_another_namespace_is_named_with_it() {
        let route = ObjectRef::new(Kind::HttpRoute, ObjectKey::new("ns", "web"));
        let (own, other) = (ObjectKey::new("ns", "west"), ObjectKey::new("other", "west"));
        let line = |service, port| backend(&route, service, port);
        assert_eq!(line(Some(&own), Some(80)), "- {name: west, port: 80, weight: 0}");
        let there = "- {name: west, namespace: other, port: 80, weight: 0}";
        assert_eq!(line(Some(&other), Some(80)), there);
        assert_eq!(line(None, None), "- {name: <fallback>, port: <port>, weight: 0}");
        let split = ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", "web"));
        assert_eq!(backend(&split, None, None), "- {service: <fallback>, weight: 0}");
    }
}
