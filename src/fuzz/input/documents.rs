//! TrafficSplits and routes.

use super::annotations;
use super::source::Source;
use serde_json::{Value, json};

pub(crate) const NAMESPACE: &str = "emojivoto";
pub(crate) const LABEL: &str = "failover.linkerd.io/controlled-by";
/// The Services that documents mostly name.
pub(crate) const SERVICES: [&str; 4] = ["web", "web-west", "web-east", "store"];
const ODD_NAMES: &[&str] =
    &["", "WEB", "web.other", "other/web", "web:80", "-", "\u{fc}", "web-", "a b", "gone"];

/// What a document is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Split,
    HttpRoute,
    GrpcRoute,
}

impl Of {
    pub(crate) fn any(source: &mut Source<'_>) -> Self {
        *source.pick(&[Self::Split, Self::HttpRoute, Self::Split, Self::GrpcRoute])
    }

    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::Split => "split.smi-spec.io",
            Self::HttpRoute | Self::GrpcRoute => "gateway.networking.k8s.io",
        }
    }

    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Split => "TrafficSplit",
            Self::HttpRoute => "HTTPRoute",
            Self::GrpcRoute => "GRPCRoute",
        }
    }

    fn version(self, source: &mut Source<'_>) -> &'static str {
        match self {
            Self::Split => source.pick_str(&["v1alpha2", "v1alpha1", "v1alpha4", "v1alpha3"]),
            Self::HttpRoute => source.pick_str(&["v1", "v1beta1"]),
            Self::GrpcRoute => source.pick_str(&["v1", "v1alpha2"]),
        }
    }
}

/// A managed object, mostly right.
pub(crate) fn any(source: &mut Source<'_>, of: Of) -> Value {
    let version = of.version(source);
    let spec = match of {
        Of::Split => split_spec(source, version == "v1alpha1"),
        Of::HttpRoute | Of::GrpcRoute => route_spec(source),
    };
    let mut metadata = json!({"name": "emoji", "namespace": NAMESPACE});
    if !source.one_in(12) {
        metadata["labels"] = json!({LABEL: "linkerd-failover"});
    }
    let annotations = annotations::of_object(source);
    if !annotations.is_empty() || source.one_in(2) {
        metadata["annotations"] = annotations.into();
    }
    let mut object = json!({"apiVersion": format!("{}/{version}", of.group()), "kind": of.kind(),
        "metadata": metadata, "spec": spec});
    if of != Of::Split && source.one_in(3) {
        object["status"] = status(source);
    }
    if source.one_in(10) {
        source.damage(&mut object);
    }
    object
}

/// A TrafficSplit with annotations of an author, without any record.
#[allow(dead_code, reason = "the test of the admission policy uses it")]
pub(crate) fn split_of_author(source: &mut Source<'_>, version: &str) -> Value {
    let spec = split_spec(source, version == "v1alpha1");
    json!({"apiVersion": format!("split.smi-spec.io/{version}"), "kind": "TrafficSplit",
        "metadata": {"name": "split", "labels": {LABEL: "linkerd-failover"},
            "annotations": annotations::of_author(source)},
        "spec": spec})
}

/// The name of a backend: mostly another one than those before.
fn service(source: &mut Source<'_>, place: usize) -> &'static str {
    match source.below(16) {
        0 => source.pick_str(ODD_NAMES),
        1 | 2 => source.pick_str(&SERVICES),
        _ => SERVICES[place % SERVICES.len()],
    }
}

fn weight(source: &mut Source<'_>, place: usize, takes_text: bool) -> Option<Value> {
    Some(match source.below(16) {
        0 => return None,
        1 => source.odd_value(),
        2 => json!(source.pick(&[0.5, 1.0, -0.0, 429_495.5, 1e9, 1e-9])),
        3 if takes_text => {
            json!(source.pick(&["500m", "1", "0429496", "", "1e1", "+1", "1k", "0.25"]))
        }
        4 => json!(source.pick(&[
            429_496,
            429_495,
            429_497,
            1_000_000,
            1_000_001,
            4_294_967_295_u64
        ])),
        5..=8 => json!(source.below(10)),
        _ => json!(u8::from(place == 0)),
    })
}

fn split_spec(source: &mut Source<'_>, takes_text: bool) -> Value {
    let count = if source.one_in(40) { 130 } else { 1 + source.below(4) };
    let backends = (0..count).map(|i| {
        let mut backend = json!({"service": match count {
            130 => format!("web-{i}"),
            _ => service(source, i).to_owned(),
        }});
        if let Some(weight) = weight(source, i, takes_text) {
            backend["weight"] = weight;
        }
        backend
    });
    let backends: Vec<_> = backends.collect();
    let mut spec = json!({"service": service(source, 0), "backends": backends});
    if source.one_in(20) {
        spec["matches"] = json!([{"kind": "HTTPRouteGroup", "name": "canary"}]);
    }
    spec
}

fn route_spec(source: &mut Source<'_>) -> Value {
    let parents = (0..=source.below(2)).map(|i| {
        let mut parent =
            json!({"group": "core", "kind": "Service", "name": service(source, i), "port": 8080});
        if source.one_in(8) {
            parent["namespace"] = json!(source.pick(&["other", NAMESPACE, ""]));
        }
        if source.one_in(10) {
            parent["kind"] = json!(source.pick(&["Gateway", "EgressNetwork"]));
        }
        parent
    });
    let parents: Vec<_> = parents.collect();
    let rules: Vec<_> = (0..=source.below(3)).map(|i| rule(source, i)).collect();
    json!({"parentRefs": parents, "rules": rules})
}

fn rule(source: &mut Source<'_>, place: usize) -> Value {
    let mut rule = json!({});
    if source.one_in(3) {
        rule["name"] = json!(source.pick(&["api", "web", "", "#0"]));
    }
    if !source.one_in(4) {
        rule["matches"] =
            json!([{"path": {"type": "PathPrefix", "value": format!("/{}", source.below(3))}}]);
    }
    if source.one_in(8) {
        rule["timeouts"] = json!({"request": source.pick(&["1s", "0s", "", "x", "10ms"])});
    }
    if source.one_in(10) {
        rule["filters"] =
            json!([{"type": source.pick(&["RequestRedirect", "RequestHeaderModifier"])}]);
    }
    let count = source.below(4);
    let backends = (0..count + usize::from(place == 0)).map(|i| {
        let mut backend = json!({"name": service(source, i), "port": source.pick(&[8080, 8080, 8080, 80, 70_000])});
        if let Some(weight) = weight(source, i, false) {
            backend["weight"] = weight;
        }
        if source.one_in(8) {
            backend["namespace"] = json!(source.pick(&["other", NAMESPACE, ""]));
        }
        if source.one_in(12) {
            backend["kind"] = json!(source.pick(&["Service", "EgressNetwork", "ServiceImport"]));
        }
        if source.one_in(12) {
            backend["port"].take();
        }
        backend
    });
    let backends: Vec<_> = backends.collect();
    rule["backendRefs"] = json!(backends);
    rule
}

fn status(source: &mut Source<'_>) -> Value {
    let condition = |source: &mut Source<'_>| {
        json!({"type": source.pick(&["Accepted", "ResolvedRefs", "Other"]),
            "status": source.pick(&["True", "False", "Unknown"]),
            "reason": source.pick(&["Accepted", "BackendNotFound", "RouteReasonConflicted"]), "message": ""})
    };
    let conditions: Vec<_> = (0..source.below(3)).map(|_| condition(source)).collect();
    json!({"parents": [{"controllerName": source.pick(&["linkerd.io/policy-controller", "other"]),
        "parentRef": {"name": "web"}, "conditions": conditions}]})
}
