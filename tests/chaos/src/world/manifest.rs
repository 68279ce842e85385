//! Manifests of what a run begins with, as authors write them.

use super::objects::{Declared, ServiceSpec, Source};
use crate::facts::ObjectKind;
use serde_json::{Map, Value, json};

/// The port of every Service, and its name, as the test cluster's Deployments have them.
pub const PORT: (&str, u16) = ("grpc", 8080);
/// The label that the chart selects by, and its value.
pub const LABEL: (&str, &str) = ("failover.linkerd.io/controlled-by", "linkerd-failover");

/// A failover object.
pub fn object(declared: &Declared) -> Value {
    let Declared { id, .. } = declared;
    let (group, version, _) = id.kind.resource();
    json!({
        "apiVersion": format!("{group}/{version}"),
        "kind": id.kind.name(),
        "metadata": {
            "name": id.name,
            "namespace": id.namespace,
            "labels": { LABEL.0: LABEL.1 },
            "annotations": annotations(declared),
        },
        "spec": if id.kind == ObjectKind::TrafficSplit { split(declared) } else { route(declared) },
    })
}

fn split(declared: &Declared) -> Value {
    let backends = declared.sets.first().into_iter().flatten();
    let backends: Vec<Value> =
        backends.map(|b| json!({ "service": b.service, "weight": b.weight })).collect();
    json!({ "service": declared.apex, "backends": backends })
}

fn route(declared: &Declared) -> Value {
    let rules: Vec<Value> = declared
        .sets
        .iter()
        .map(|set| {
            let refs: Vec<Value> = set
                .iter()
                .map(|b| json!({ "name": b.service, "port": PORT.1, "weight": b.weight }))
                .collect();
            json!({ "backendRefs": refs })
        })
        .collect();
    let parent = json!({ "group": "", "kind": "Service", "name": declared.apex, "port": PORT.1 });
    json!({ "parentRefs": [parent], "rules": rules })
}

fn annotations(declared: &Declared) -> Map<String, Value> {
    let list = |names: &[String]| (!names.is_empty()).then(|| names.join(","));
    let flag = |set: bool| set.then(|| "true".to_owned());
    let time = |d: std::time::Duration| (!d.is_zero()).then(|| format!("{}s", d.as_secs()));
    [
        ("primary-service", list(&declared.primaries)),
        ("fallback-order", list(&declared.fallback_order)),
        ("min-ready", declared.min_ready.map(|least| least.to_string())),
        ("failover-delay", time(declared.failover_delay)),
        ("failback-delay", time(declared.failback_delay)),
        ("failback", declared.manual_failback.then(|| "manual".to_owned())),
        ("warm-standby", flag(declared.warm_standby)),
        ("protection", declared.seamless.then(|| "seamless".to_owned())),
        ("pin", declared.pin.clone()),
        ("paused", flag(declared.paused)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((format!("failover.linkerd.io/{name}"), value?.into())))
    .collect()
}

/// A Service whose slice is written by hand, or that stands for one of the west's.
pub fn service(spec: &ServiceSpec) -> Value {
    let labels = match &spec.source {
        Source::Remote { service } => json!({
            "mirror.linkerd.io/mirrored-service": "true",
            "mirror.linkerd.io/cluster-name": "west",
            "multicluster.linkerd.io/remote-discovery": "west",
            "multicluster.linkerd.io/remote-service": service,
        }),
        Source::Slice | Source::GuardedPods => json!({}),
    };
    plain_service(&spec.namespace, &spec.name, &labels)
}

/// A Service without selector.
pub fn plain_service(namespace: &str, name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": namespace, "labels": labels },
        "spec": { "ports": [{ "name": PORT.0, "port": PORT.1, "protocol": "TCP" }] },
    })
}

/// The slice of a Service, with so many endpoints, all ready.
pub fn slice(namespace: &str, service: &str, ready: usize) -> Value {
    // Endpoints of a Service's own: another's have other addresses.
    let of = namespace.bytes().chain(service.bytes());
    let net = of.fold(0_u8, |net, byte| net.wrapping_mul(31).wrapping_add(byte));
    let endpoints: Vec<Value> = (0..ready)
        .map(|n| json!({ "addresses": [format!("10.{net}.0.{}", n + 1)], "conditions": { "ready": true } }))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": service, "namespace": namespace,
            "labels": { "kubernetes.io/service-name": service },
        },
        "addressType": "IPv4",
        "ports": [{ "name": PORT.0, "port": PORT.1, "protocol": "TCP" }],
        "endpoints": endpoints,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::objects::declarations;

    #[test]
    fn a_manifest_has_what_its_author_declares() {
        let objects = declarations(1).objects;
        let split = objects.iter().find(|o| o.id.kind == ObjectKind::TrafficSplit).unwrap();
        let text = object(split);
        assert_eq!(text["spec"]["service"], split.apex);
        assert_eq!(text["spec"]["backends"][0]["weight"], split.sets[0][0].weight);
        let pinned = objects.iter().find(|o| o.pin.is_some()).unwrap();
        let text = object(pinned);
        assert_eq!(
            text["metadata"]["annotations"]["failover.linkerd.io/pin"].as_str(),
            pinned.pin.as_deref()
        );
        let delayed = objects.iter().find(|o| !o.failback_delay.is_zero()).unwrap();
        let wanted = format!("{}s", delayed.failback_delay.as_secs());
        let text = object(delayed);
        assert_eq!(text["metadata"]["annotations"]["failover.linkerd.io/failback-delay"], wanted);
    }
}
