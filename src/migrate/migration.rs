//! What a TrafficSplit and its routes have in common: names, metadata, and the author's weights.

use crate::engine::{
    Declaration, FieldPath, Problem, Weights, annotations, is_service_name, proportions,
};
use crate::kinds::{ObjectKey, route, traffic_split};
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The schema's limit of backends in a rule.
const MOST_BACKENDS: usize = 16;

/// Annotations that are written by programs and hold for the split alone.
const NOT_MIGRATED: [&str; 3] =
    [annotations::AUTHORED_WEIGHTS, annotations::STATE, annotations::LAST_APPLIED];

/// What of a split goes into its routes: everything but the port, which a split does not name.
#[derive(Debug)]
pub(crate) struct Migration {
    pub name: String,
    pub namespace: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// The Service that clients call.
    pub apex: String,
    /// Each with its weight.
    pub backends: Vec<(String, u32)>,
}

impl Migration {
    /// Reads a split, or returns every problem of it. `namespace` is that of an object that names none.
    pub(crate) fn read(
        split: &DynamicObject,
        namespace: Option<&str>,
    ) -> Result<Self, Vec<Problem>> {
        let declared = traffic_split::read(split);
        let mut problems = declared.unreadable.clone();
        let name = split.name_any();
        let namespace = split.namespace().or(namespace.map(str::to_owned));
        own_names(&name, namespace.as_deref(), &mut problems);
        backend_count(&declared, &mut problems);
        service_names(&declared, &mut problems);
        repeated_backends(&declared, &mut problems);
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

    /// Name and namespace of the apex; the namespace is empty where none is named.
    pub(crate) fn apex_key(&self) -> ObjectKey {
        ObjectKey::new(self.namespace.as_deref().unwrap_or_default(), &self.apex)
    }
}

/// The name of a route stands in commands too, so it must be nothing but a name.
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

fn backend_count(declared: &Declaration, problems: &mut Vec<Problem>) {
    let field = || FieldPath::from("spec.backends");
    match declared.backends().count() {
        0 if !has_problem(problems, &field()) => {
            problems.push(Problem::error(field()).found("no backends").expected("at least one"));
        }
        count if count > MOST_BACKENDS => {
            problems.push(Problem::error(field()).found(format!("{count} backends")).expected(
                format!("at most {MOST_BACKENDS}, which is what a rule of a route takes"),
            ));
        }
        _ => {}
    }
}

fn service_names(declared: &Declaration, problems: &mut Vec<Problem>) {
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
}

fn repeated_backends(declared: &Declaration, problems: &mut Vec<Problem>) {
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

fn has_problem(problems: &[Problem], field: &FieldPath) -> bool {
    problems.iter().any(|problem| problem.field == *field)
}

/// The author's weights as a route takes them; none where a problem was found.
fn author_weights(
    split: &DynamicObject,
    declared: &Declaration,
    problems: &mut Vec<Problem>,
) -> Vec<u32> {
    let recorded = recorded(declared, problems);
    let before = problems.len();
    let read = read_weights(split, declared, &recorded, problems);
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
    // The limits of a route, not those of a split.
    let limits = route::SHAPE.limits;
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

/// The proportions that the author asked for: the recorded weights where there are any, since the live
/// ones may be those of a failover.
fn read_weights(
    split: &DynamicObject,
    declared: &Declaration,
    recorded: &Weights,
    problems: &mut Vec<Problem>,
) -> Vec<proportions::Nanos> {
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
    read
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
    kept.retain(|name, _| !NOT_MIGRATED.contains(&name.as_str()));
    // Without `state` a defaulted primary reads as the author's: it then holds for any order of the
    // backends.
    if kept.contains_key(annotations::PRIMARY_SERVICE)
        && declared.authored_primary().is_none()
        && let Some(primary) = declared.primaries().into_values().flatten().next()
    {
        kept.insert(annotations::PRIMARY_SERVICE.into(), primary);
    }
    kept
}

/// A warning about matches: Linkerd ignores those of a split, and the route has none.
pub(crate) fn ignored_matches(split: &DynamicObject) -> Option<Problem> {
    let matches = split.data.pointer("/spec/matches")?.as_array()?;
    (!matches.is_empty()).then(|| {
        Problem::warning("spec.matches")
            .found(format!("{} of them", matches.len()))
            .expected("none: Linkerd ignores them, and so does the route")
    })
}
