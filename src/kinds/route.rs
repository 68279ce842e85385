//! `HTTPRoute` and `GRPCRoute` (`gateway.networking.k8s.io/v1`): the adapter. Every rule with
//! backends is a set; the parser decides which of them fail over.

use crate::engine::{
    Annotations, Bounds, Declaration, DeclaredBackend, DeclaredSet, Fault, FieldPath, ParsedWeight,
    Problem, Shape, WeightLimits,
};
use crate::kinds::adapter::{Adapter, InUse};
use crate::kinds::retries;
use crate::kinds::value::{kind_of, text};
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

pub(crate) const GROUP: &str = "gateway.networking.k8s.io";

/// What a route can hold: the API takes weights up to a million, and sixteen of them in a rule.
pub(crate) const SHAPE: Shape = Shape {
    apex: "spec.parentRefs",
    backends: "spec.rules",
    name: "name",
    limits: WeightLimits { weight: 1_000_000, sum: u32::MAX },
    crosses_namespaces: true,
    // What the Gateway API allows.
    bounds: Bounds { of_set: 16, of_object: 256 },
};

/// The adapter of `HTTPRoute`.
pub(crate) static HTTP: Adapter = Adapter {
    group: GROUP,
    kind: "HTTPRoute",
    plural: "httproutes",
    versions: &["v1", "v1beta1"],
    shape: SHAPE,
    weights_path: "spec.rules[*].backendRefs[*].weight",
    weights_pointer: "/f:spec/f:rules",
    adds_up: true,
    needs_service_profile: false,
    retries: &[(retries::HTTP, "gateway-error"), (retries::LIMIT, "2")],
    read,
    in_use,
};

/// The adapter of `GRPCRoute`, which has rules and backends as an `HTTPRoute` has.
pub(crate) static GRPC: Adapter = Adapter {
    kind: "GRPCRoute",
    plural: "grpcroutes",
    versions: &["v1", "v1alpha2"],
    retries: &[(retries::GRPC, "unavailable"), (retries::LIMIT, "2")],
    ..HTTP
};

/// The controller that writes the status of a route whose parent is a Service.
const LINKERD: &str = "linkerd.io/policy-controller";

/// Reads the status that Linkerd wrote.
pub(crate) fn in_use(route: &DynamicObject) -> InUse {
    let parents = route.data.pointer("/status/parents").and_then(Value::as_array);
    let by =
        |parent: &&Value| parent.get("controllerName").and_then(Value::as_str) == Some(LINKERD);
    let mut linkerds = parents.into_iter().flatten().filter(by).peekable();
    if linkerds.peek().is_none() {
        return InUse::NotSaid;
    }
    let mut why = vec![];
    for parent in linkerds {
        let name = parent.pointer("/parentRef/name").and_then(Value::as_str).unwrap_or("a parent");
        let conditions = parent.get("conditions").and_then(Value::as_array);
        for condition in conditions.into_iter().flatten() {
            let text = |field: &str| condition.get(field).and_then(Value::as_str).unwrap_or("");
            let matters = ["Accepted", "ResolvedRefs"].contains(&text("type"));
            if matters && text("status") == "False" {
                let message = Some(text("message")).filter(|message| !message.is_empty());
                let message = message.map(|message| format!(" ({message})")).unwrap_or_default();
                why.push(format!(
                    "for {name}, {} is False: {}{message}",
                    text("type"),
                    text("reason")
                ));
            }
        }
    }
    if why.is_empty() { InUse::Yes } else { InUse::No(why.join("; ").into()) }
}

/// The group and kind of what stands for hosts outside of the cluster.
const EGRESS: (&str, &str) = ("policy.linkerd.io", "EgressNetwork");

/// A backendRef that names no weight counts as this.
const ABSENT: u32 = 1;

/// Reads the declaration; what cannot be read is in its `unreadable`, or in the rule's.
pub(crate) fn read(route: &DynamicObject) -> Declaration {
    let namespace = route.namespace().unwrap_or_default();
    let spec = route.data.get("spec").unwrap_or(&Value::Null);
    let mut unreadable = vec![];
    let apexes = parents(spec, &namespace, &mut unreadable);
    // A backendRef without namespace means the parent's for traffic and the route's for status.
    let ambiguous = apexes.iter().any(|apex| apex.contains('/'));
    let rules = list(spec.get("rules"), &SHAPE.backends.into(), "rules", &mut unreadable);
    let mut names = HashSet::new();
    let sets = rules.iter().enumerate().filter_map(|(i, rule)| {
        // The API does not ask that a name is given once: only the first has it. And it takes none with a `#`, by
        // which a rule without a name is called.
        let own = rule.get("name").and_then(Value::as_str);
        let own =
            own.filter(|name| !name.is_empty() && !name.starts_with('#') && names.insert(*name));
        let mut set = DeclaredSet {
            name: own.map_or_else(|| format!("#{i}"), str::to_owned),
            path: FieldPath::from(SHAPE.backends).index(i).field("backendRefs"),
            matches: rule.get("matches").map(Value::to_string).unwrap_or_default(),
            ..DeclaredSet::default()
        };
        let refs = list(rule.get("backendRefs"), &set.path, "backendRefs", &mut set.unreadable);
        for (j, backend) in refs.iter().enumerate() {
            let path = set.path.index(j);
            let read = backend_ref(backend, path, &namespace, ambiguous, &mut set.unreadable);
            set.backends.push(DeclaredBackend { entry: j, ..read });
        }
        name_by_port(&mut set.backends);
        (!set.backends.is_empty() || !set.unreadable.is_empty()).then_some(set)
    });
    Declaration {
        sets: sets.collect(),
        apexes,
        annotations: Annotations::read(route.annotations().clone(), SHAPE.limits.weight),
        unreadable,
        shape: SHAPE,
    }
}

/// The paths of the rules that name no backend: Linkerd sends their requests to the parent itself.
pub(crate) fn rules_without_backends(route: &DynamicObject) -> Vec<String> {
    let rules = route.data.pointer("/spec/rules").and_then(Value::as_array);
    let none =
        |rule: &Value| rule.get("backendRefs").and_then(Value::as_array).is_none_or(Vec::is_empty);
    // What is redirected is sent nowhere.
    let redirects = |rule: &Value| {
        let filters = rule.get("filters").and_then(Value::as_array);
        filters
            .into_iter()
            .flatten()
            .any(|filter| filter.get("type") == Some(&"RequestRedirect".into()))
    };
    let each = rules.into_iter().flatten().enumerate();
    let without = each.filter(|(_, rule)| none(rule) && !redirects(rule));
    without.map(|(i, _)| FieldPath::from(SHAPE.backends).index(i).to_string()).collect()
}

/// The request timeout of each rule, as it is written, by the path of its field.
pub(crate) fn request_timeouts(route: &DynamicObject) -> Vec<(FieldPath, Option<&str>)> {
    let rules = route.data.pointer("/spec/rules").and_then(Value::as_array);
    let each = rules.into_iter().flatten().enumerate();
    each.map(|(i, rule)| {
        let path = FieldPath::from(SHAPE.backends).index(i).field("timeouts").field("request");
        (path, rule.pointer("/timeouts/request").and_then(Value::as_str))
    })
    .collect()
}

/// The Services that the route steers; other parents are not Linkerd's mesh.
fn parents(spec: &Value, namespace: &str, unreadable: &mut Vec<Problem>) -> Vec<String> {
    let field = FieldPath::from(SHAPE.apex);
    let refs = list(spec.get("parentRefs"), &field, "parentRefs", unreadable);
    let (mut apexes, mut seen) = (vec![], HashSet::new());
    for (i, parent) in refs.iter().enumerate() {
        let is = |name: &str, values: &[&str]| {
            parent.get(name).and_then(Value::as_str).is_some_and(|v| values.contains(&v))
        };
        if !is("kind", &["Service"]) || !is("group", &["", "core"]) {
            continue;
        }
        let name = service_name(parent, &field.index(i), unreadable);
        let name = qualified(parent, &name, namespace);
        // One Service may be named once for each of its ports.
        if !name.is_empty() && seen.insert(name.clone()) {
            apexes.push(name);
        }
    }
    if apexes.is_empty() && !refs.is_empty() && unreadable.is_empty() {
        unreadable.push(
            Problem::error(field)
                .found("no Service")
                .expected("a parent of kind: Service, group: core")
                .next("Linkerd steers with a route only what clients call through a Service; other parents are a gateway's"),
        );
    }
    apexes
}

fn backend_ref(
    backend: &Value,
    path: FieldPath,
    namespace: &str,
    ambiguous: bool,
    unreadable: &mut Vec<Problem>,
) -> DeclaredBackend {
    let before = unreadable.len();
    let name = service_name(backend, &path, unreadable);
    let is_reported = unreadable.len() > before;
    let port = backend.get("port").and_then(Value::as_u64).and_then(|p| u16::try_from(p).ok());
    let named = name.is_empty().then(|| unnamed(&path));
    let of_service = (!is_service(backend)).then(|| no_service(backend, &path, &name));
    let with_namespace =
        (ambiguous && backend.get("namespace").is_none()).then(|| without_namespace(&path, &name));
    let with_port = port.is_none().then(|| without_port(backend, &path, &name));
    // That it is no Service outweighs that it has no name.
    let fault = [&of_service, &named, &with_namespace, &with_port];
    let fault = fault.into_iter().flatten().next().map(|(_, fault)| fault.clone());
    let named = named.filter(|_| !is_reported);
    let problems = [named, of_service, with_namespace, with_port].into_iter().flatten();
    unreadable.extend(problems.map(|(problem, _)| problem));
    let weight = ParsedWeight::parse(backend.get("weight"), ABSENT, SHAPE.limits.weight);
    let name = qualified(backend, &name, namespace);
    DeclaredBackend { name, weight, port, path, entry: 0, fault }
}

fn is_service(backend: &Value) -> bool {
    let is = |name: &str, values: &[&str]| {
        let value = backend.get(name).and_then(Value::as_str);
        value.is_none_or(|value| values.contains(&value))
    };
    is("kind", &["Service"]) && is("group", &["", "core"])
}

/// What is wrong with a backend that names no Service.
fn unnamed(path: &FieldPath) -> (Problem, Fault) {
    let problem = Problem::error(path.field("name")).found("nothing");
    let fault = Fault::NoService("it names no Service".into());
    (problem.expected("the name of a Service"), fault)
}

/// What is wrong with a backend without a namespace, beside a parent in another one.
fn without_namespace(path: &FieldPath, name: &str) -> (Problem, Fault) {
    let problem = Problem::error(path.field("namespace"))
        .found("nothing, beside a parent in another namespace")
        .expected(format!("the namespace of {name}"))
        .about(name)
        .next("without it Linkerd looks in the parent's namespace for traffic and in the route's for its status");
    let why = "it names no namespace, and a parent of the route is in another one";
    (problem, Fault::Unclear(why.into()))
}

/// What is wrong with a backend without a port.
fn without_port(backend: &Value, path: &FieldPath, name: &str) -> (Problem, Fault) {
    let problem = Problem::error(path.field("port"))
        .found(backend.get("port").map_or_else(|| "nothing".into(), kind_of))
        .expected(format!("the port of {name}"))
        .about(name);
    (problem, Fault::NoService("it names no port".into()))
}

/// What is wrong with a backend of another kind than Service, and why it is never ready.
fn no_service(backend: &Value, path: &FieldPath, name: &str) -> (Problem, Fault) {
    let text = |field: &str| backend.get(field).and_then(Value::as_str);
    let kind = text("kind").unwrap_or("Service");
    let is_egress = (text("group"), kind) == (Some(EGRESS.0), EGRESS.1);
    let why = match text("group").unwrap_or_default() {
        _ if is_egress => format!("an {kind}, which Linkerd does not send to under a Service"),
        "" | "core" => format!("of kind {kind}, and Linkerd sends to Services only"),
        group => format!("of kind {kind}.{group}, and Linkerd sends to Services only"),
    };
    let problem = Problem::error(path.field("kind"))
        .found(format!("{kind:?}"))
        .expected("Service, of group \"\" or core")
        .about(name)
        .next(match is_egress {
            true => "Linkerd takes an EgressNetwork as a backend only where that same EgressNetwork is the parent of the route; under a Service its share of requests fails",
            false => "Linkerd sends to Services only",
        });
    (problem, Fault::NoService(why.into()))
}

/// A Service that a rule has with several ports is a backend for each, and called so.
fn name_by_port(backends: &mut [DeclaredBackend]) {
    let mut ports: HashMap<&str, HashSet<u16>> = HashMap::new();
    for backend in backends.iter() {
        ports.entry(&backend.name).or_default().extend(backend.port);
    }
    let several = |name: &str| ports.get(name).is_some_and(|ports| ports.len() > 1);
    let several: Vec<bool> = backends.iter().map(|backend| several(&backend.name)).collect();
    for (backend, _) in backends.iter_mut().zip(several).filter(|(_, several)| *several) {
        if let Some(port) = backend.port.filter(|_| !backend.name.is_empty()) {
            backend.name = format!("{}:{port}", backend.name);
        }
    }
}

/// The name in a reference to a Service; `""` where it cannot be one.
fn service_name(reference: &Value, path: &FieldPath, unreadable: &mut Vec<Problem>) -> String {
    let field = path.field("name");
    let name = text(reference.get("name"), &field, unreadable);
    let next = match name {
        _ if name.contains('/') => {
            "a Service of another namespace is named by the field namespace beside it"
        }
        _ if name.contains(':') => "a port of a Service is named by the field port beside it",
        _ => return name,
    };
    unreadable.push(
        Problem::error(field)
            .found(format!("{name:?}"))
            .expected("the name of a Service")
            .next(next),
    );
    String::new()
}

/// `name`, or `namespace/name` where that is another than the route's.
fn qualified(reference: &Value, name: &str, namespace: &str) -> String {
    match reference.get("namespace").and_then(Value::as_str) {
        Some(other) if !other.is_empty() && other != namespace && !name.is_empty() => {
            format!("{other}/{name}")
        }
        _ => name.to_owned(),
    }
}

fn list<'a>(
    value: Option<&'a Value>,
    field: &FieldPath,
    of: &str,
    unreadable: &mut Vec<Problem>,
) -> &'a [Value] {
    match value {
        None | Some(Value::Null) => &[],
        Some(Value::Array(items)) => items,
        Some(other) => {
            let expected = format!("a list of {of}");
            unreadable.push(Problem::error(field).found(kind_of(other)).expected(expected));
            &[]
        }
    }
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
