//! The route that does what a split does.

use crate::engine::{
    Declaration, FieldPath, Problem, Weights, annotations, is_service_name, proportions,
};
use crate::kinds::{ObjectKey, route, traffic_split};
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Kinds of routes that Linkerd reads for a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum RouteKind {
    #[serde(rename = "HTTPRoute")]
    Http,
    #[serde(rename = "GRPCRoute")]
    Grpc,
}

impl RouteKind {
    /// As kubectl takes it.
    fn resource(self) -> &'static str {
        match self {
            Self::Http => "httproutes.gateway.networking.k8s.io",
            Self::Grpc => "grpcroutes.gateway.networking.k8s.io",
        }
    }
}

/// The schema's limit of backends in a rule.
const MOST_BACKENDS: usize = 16;

/// Written by machines, and true of the split alone.
const LEFT_BEHIND: [&str; 3] =
    [annotations::AUTHORED_WEIGHTS, annotations::STATE, annotations::LAST_APPLIED];

/// What of a split goes into its routes. Everything but the port, which a split does not name.
#[derive(Debug)]
pub(crate) struct Migration {
    name: String,
    namespace: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    /// The Service that clients call.
    pub apex: String,
    backends: Vec<(String, u32)>,
}

impl Migration {
    /// Reads a split, or says everything that is in the way.
    ///
    /// `namespace` is where an object belongs that names none.
    pub(crate) fn read(
        split: &DynamicObject,
        namespace: Option<&str>,
    ) -> Result<Self, Vec<Problem>> {
        let declared = traffic_split::read(split);
        let mut problems = declared.unreadable.clone();
        let name = split.name_any();
        let namespace = split.namespace().or(namespace.map(str::to_owned));
        own_names(&name, namespace.as_deref(), &mut problems);
        service_names(&declared, &mut problems);
        let weights = author_weights(split, &declared, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let backends: Vec<_> = declared.backends().map(|b| b.name.clone()).zip(weights).collect();
        Ok(Self {
            name,
            namespace,
            labels: split.labels().clone(),
            annotations: kept_annotations(&declared),
            apex: declared.apexes.into_iter().next().unwrap_or_default(),
            backends,
        })
    }

    /// Name and namespace of the apex; the namespace is empty where nobody names one.
    pub(crate) fn apex_key(&self) -> ObjectKey {
        ObjectKey::new(self.namespace.as_deref().unwrap_or_default(), &self.apex)
    }

    /// A route for each port: one that is for all ports would need all ports on every backend.
    pub(crate) fn routes(&self, kind: RouteKind, ports: &[u16]) -> Vec<Route> {
        let route = |port: &u16| {
            let name = match ports {
                [_] => self.name.clone(),
                _ => format!("{}-{port}", self.name),
            };
            Route {
                comment: self.comment(kind, &name, *port, ports),
                manifest: self.manifest(kind, name, *port),
            }
        };
        ports.iter().map(route).collect()
    }

    fn comment(&self, kind: RouteKind, name: &str, port: u16, ports: &[u16]) -> String {
        let split = &self.name;
        let namespace = self.namespace.as_deref();
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
            self.apex
        )
    }

    fn manifest(&self, kind: RouteKind, name: String, port: u16) -> Manifest {
        let backend = |(name, weight): &(String, u32)| BackendRef {
            name: name.clone(),
            port,
            weight: *weight,
        };
        let parent = ParentRef { group: "", kind: "Service", name: self.apex.clone(), port };
        Manifest {
            api_version: "gateway.networking.k8s.io/v1",
            kind,
            metadata: Metadata {
                name,
                namespace: self.namespace.clone(),
                labels: self.labels.clone(),
                annotations: self.annotations.clone(),
            },
            spec: Spec {
                parent_refs: [parent],
                rules: [Rule { backend_refs: self.backends.iter().map(backend).collect() }],
            },
        }
    }
}

/// A manifest, and what its reader has to do with it.
#[derive(Debug)]
pub(crate) struct Route {
    comment: String,
    manifest: Manifest,
}

impl Route {
    /// What it is called in its cluster.
    pub(crate) fn key(&self) -> ObjectKey {
        let metadata = &self.manifest.metadata;
        ObjectKey::new(metadata.namespace.as_deref().unwrap_or_default(), &metadata.name)
    }

    /// As a document of YAML.
    pub(crate) fn to_yaml(&self) -> anyhow::Result<String> {
        // Folded values are correct, and unreadable where they are JSON.
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

/// What a route is called goes into commands too, so it must be nothing but a name.
fn own_names(name: &str, namespace: Option<&str>, problems: &mut Vec<Problem>) {
    let is_name = |name: &str| name.len() <= 253 && name.split('.').all(is_service_name);
    if !is_name(name) {
        let found = if name.is_empty() { "nothing".into() } else { format!("{name:?}") };
        problems
            .push(Problem::error("metadata.name").found(found).expected("the name of an object"));
    }
    if let Some(namespace) = namespace.filter(|namespace| !is_service_name(namespace)) {
        problems.push(
            Problem::error("metadata.namespace")
                .found(format!("{namespace:?}"))
                .expected("the name of a namespace"),
        );
    }
}

fn service_names(declared: &Declaration, problems: &mut Vec<Problem>) {
    let has_problem =
        |problems: &[Problem], field: &FieldPath| problems.iter().any(|p| p.field == *field);
    if declared.backends().next().is_none() && !has_problem(problems, &"spec.backends".into()) {
        problems
            .push(Problem::error("spec.backends").found("no backends").expected("at least one"));
    }
    if declared.backends().count() > MOST_BACKENDS {
        problems.push(
            Problem::error("spec.backends")
                .found(format!("{} backends", declared.backends().count()))
                .expected(format!(
                    "at most {MOST_BACKENDS}, which is what a rule of a route takes"
                )),
        );
    }
    let backends = declared.backends().map(|b| (b.path.field("service"), &b.name));
    let nothing = String::new();
    let apex = declared.apexes.first().unwrap_or(&nothing);
    for (field, name) in [("spec.service".into(), apex)].into_iter().chain(backends) {
        if is_service_name(name) || has_problem(problems, &field) {
            continue;
        }
        let found = if name.is_empty() { "nothing".into() } else { format!("{name:?}") };
        problems.push(
            Problem::error(field)
                .found(found)
                .expected("the bare name of a Service in the object's own namespace"),
        );
    }
    let mut seen = BTreeSet::new();
    for backend in declared.backends().filter(|b| !b.name.is_empty()) {
        if !seen.insert(&backend.name) {
            problems.push(
                Problem::error(backend.path.field("service"))
                    .found(format!("{:?} once more", backend.name))
                    .expected("each backend once")
                    .next("leave one of the two, with the sum of their weights"),
            );
        }
    }
}

/// The author's weights, not those of a failover: the recorded ones where there are any.
fn author_weights(
    split: &DynamicObject,
    declared: &Declaration,
    problems: &mut Vec<Problem>,
) -> Vec<u32> {
    // What a route takes, and not what a split does.
    let limits = route::SHAPE.limits;
    let recorded = recorded(declared, problems);
    let before = problems.len();
    let mut read = vec![];
    for (i, backend) in declared.backends().enumerate() {
        let written = split.data.pointer(&format!("/spec/backends/{i}/weight"));
        let weight = match recorded.get(&backend.name) {
            Some(weight) => Some(proportions::of_whole(*weight)),
            None => proportions::read(written),
        };
        match weight {
            Some(weight) => read.push(weight),
            None => problems.push(
                Problem::error(backend.path.field("weight"))
                    .found(written.unwrap_or(&Value::Null))
                    .expected("a number that is not negative"),
            ),
        }
    }
    if problems.len() > before || read.is_empty() {
        return vec![];
    }
    if read.iter().all(|weight| *weight == 0) {
        problems.push(
            Problem::error("spec.backends")
                .found("weights that are all 0")
                .expected(
                    "at least one above 0: of a route without any, proxies keep what they had",
                )
                .next("give the backend that is to have the traffic the weight 1"),
        );
    }
    proportions::whole(&read, limits).unwrap_or_else(|| {
        problems.push(
            Problem::error("spec.backends")
                .found("weights in proportions that need larger numbers")
                .expected(format!("proportions of whole numbers of at most {}", limits.weight))
                .next("round the weights"),
        );
        vec![]
    })
}

fn recorded(declared: &Declaration, problems: &mut Vec<Problem>) -> Weights {
    match declared.annotations.record() {
        None => Weights::new(),
        Some(Ok(recorded)) => recorded.sets.get("").cloned().unwrap_or_default(),
        Some(Err(problem)) => {
            problems.push(problem.clone());
            Weights::new()
        }
    }
}

fn kept_annotations(declared: &Declaration) -> BTreeMap<String, String> {
    let mut kept = declared.annotations.as_map().clone();
    kept.retain(|name, _| !LEFT_BEHIND.contains(&name.as_str()));
    // `state` knew that it was only our default, and stays behind: it becomes the author's word,
    // and holds whatever order the backends come in later.
    if kept.contains_key(annotations::PRIMARY_SERVICE)
        && declared.authored_primary().is_none()
        && let Some(primary) = declared.primaries().into_values().flatten().next()
    {
        kept.insert(annotations::PRIMARY_SERVICE.into(), primary);
    }
    kept
}

/// What Linkerd never did for a split, and does not do for its route.
pub(crate) fn ignored_matches(split: &DynamicObject) -> Option<Problem> {
    let matches = split.data.pointer("/spec/matches")?.as_array()?;
    (!matches.is_empty()).then(|| {
        Problem::warning("spec.matches")
            .found(format!("{} of them", matches.len()))
            .expected("none: Linkerd ignores them, and so does the route")
    })
}

/// `TrafficSplit emojivoto/emoji`, for messages about an object as it stands.
pub(crate) struct Called<'a>(pub &'a Value);

impl fmt::Display for Called<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |path| self.0.pointer(path).and_then(Value::as_str);
        let Some(kind) = text("/kind") else {
            return f.write_str("no object of Kubernetes");
        };
        write!(f, "{kind} ")?;
        if let Some(namespace) = text("/metadata/namespace") {
            write!(f, "{namespace}/")?;
        }
        let name = text("/metadata/name").or(text("/metadata/generateName"));
        f.write_str(name.unwrap_or("without a name"))
    }
}
