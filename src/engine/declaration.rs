//! A failover object as it is in the cluster, before any rule is applied.

use crate::engine::names::other_name;
use crate::engine::{
    Annotations, AuthoredText, AuthoredWeights, BackendIndex, BySet, Fault, FieldPath, MAX_WEIGHT,
    ParsedWeight, Problem, State, WeightLimits, Weights, annotations, service_of, work,
};
use std::ops::Index;

/// A failover object as its kind's adapter reads it: no rule applied, nothing refused yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declaration {
    /// The field names of its kind, and its limits.
    pub shape: Shape,
    /// The Services that clients call; a split has one.
    pub apexes: Vec<String>,
    /// The sets of backends that share traffic, in the author's order: one in a split, one per rule
    /// in a route.
    pub sets: Vec<DeclaredSet>,
    /// All annotations of the object, read once.
    pub annotations: Annotations,
    /// What the adapter could not read beside the sets, each with its field path.
    pub unreadable: Vec<Problem>,
}

/// The field names of a kind of object, and its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Field path of the apex.
    pub apex: &'static str,
    /// Field path under which the backends are.
    pub backends: &'static str,
    /// The field of a backend that holds its name.
    pub name: &'static str,
    /// What its weights may be.
    pub limits: WeightLimits,
    /// Whether a backend may be in another namespace, as `namespace/name`.
    pub crosses_namespaces: bool,
    /// How many backends it may have.
    pub bounds: Bounds,
}

/// How many backends an object may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// In one set.
    pub of_set: usize,
    /// In all sets together.
    pub of_object: usize,
}

impl Shape {
    /// One set of backends for one apex: a split's.
    pub const ONE_SET: Self = Self {
        apex: "spec.service",
        backends: "spec.backends",
        name: "service",
        limits: WeightLimits { weight: MAX_WEIGHT, sum: MAX_WEIGHT },
        crosses_namespaces: false,
        bounds: Bounds { of_set: 128, of_object: 128 },
    };
}

impl Default for Shape {
    fn default() -> Self {
        Self::ONE_SET
    }
}

/// Backends that share the traffic of one apex, or of one rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeclaredSet {
    /// Its key in `state` and `authored-weights`: `""` in an object with one set, otherwise the
    /// rule's name, or its place where it has none: `#0`.
    pub name: String,
    /// Its list of backends: `spec.rules[2].backendRefs`.
    pub path: FieldPath,
    /// The matches of a rule, as text: they distinguish two rules without a name.
    pub matches: String,
    /// In the author's order.
    pub backends: Vec<DeclaredBackend>,
    /// What the adapter could not read of it; it matters only where the set fails over.
    pub unreadable: Vec<Problem>,
    /// Entries that name a backend once more, where they are read as one with the first: these have
    /// no weight of their own.
    pub repeated: Vec<usize>,
    /// The weights as they are written, of backends where they are read as another number.
    pub written: AuthoredText,
}

/// A backend as it is in the object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeclaredBackend {
    /// The Service: `name`, or `namespace/name` in another namespace than the object's; with its
    /// port, `name:8080`, where its set has it with several.
    pub name: String,
    /// The weight as it stands, as far as it can be read.
    pub weight: ParsedWeight,
    /// The Service's port that traffic goes to; none: the apex's ports.
    pub port: Option<u16>,
    /// The backend: `spec.backends[0]`.
    pub path: FieldPath,
    /// Its place in the list of its set.
    pub entry: usize,
    /// What keeps it from being used.
    pub fault: Option<Fault>,
}

impl DeclaredBackend {
    pub(crate) fn other_name(&self) -> Option<String> {
        other_name(&self.name, self.port)
    }
}

impl Index<BackendIndex> for Vec<DeclaredBackend> {
    type Output = DeclaredBackend;

    fn index(&self, index: BackendIndex) -> &DeclaredBackend {
        &self.as_slice()[index.place()]
    }
}

impl DeclaredSet {
    /// The weights that stand in the object, where they can be read.
    pub fn live(&self) -> Weights {
        self.backends.iter().filter_map(|b| Some((b.name.clone(), b.weight.whole()?))).collect()
    }

    /// The names of its backends.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.backends.iter().map(|b| b.name.as_str())
    }

    /// Whether a backend of this name is in it.
    pub fn has(&self, backend: &str) -> bool {
        self.backends.iter().any(|b| b.name == backend)
    }

    /// Whether it is a rule with one backend, however often its list has that; see
    /// [`Intent::is_alone`](crate::engine::Intent::is_alone).
    pub fn is_alone(&self) -> bool {
        let is_one = self.backends.windows(2).all(|pair| pair[0].name == pair[1].name);
        !self.name.is_empty() && is_one
    }

    /// The places of its backends by the names that an annotation may have for them: a Service's
    /// also `name:8080`, and by the name of the Service all its ports together.
    pub(crate) fn by_name(&self) -> ByName<'_> {
        let mut places = Vec::with_capacity(self.backends.len());
        for (i, backend) in BackendIndex::all(self.backends.len()).zip(&self.backends) {
            places.push((work::counted(backend.name.as_str()), i));
            let service = service_of(&backend.name);
            if backend.port.is_some() && service != backend.name {
                places.push((service, i));
            }
        }
        places.sort_unstable();
        ByName { places, backends: &self.backends }
    }
}

/// The places of a set's backends, by name.
pub(crate) struct ByName<'a> {
    /// Sorted.
    places: Vec<(&'a str, BackendIndex)>,
    backends: &'a Vec<DeclaredBackend>,
}

impl ByName<'_> {
    /// Those with this name, in the author's order.
    pub(crate) fn get(&self, name: &str) -> Vec<BackendIndex> {
        let with_port = || {
            let (service, port) = name.split_once(':')?;
            let port: u16 = port.parse().ok()?;
            let has_port = |i: &BackendIndex| self.backends[*i].port == Some(port);
            Some(self.called(service).filter(has_port).collect())
        };
        let called: Vec<BackendIndex> = self.called(name).collect();
        if called.is_empty() { with_port().unwrap_or_default() } else { called }
    }

    fn called(&self, name: &str) -> impl Iterator<Item = BackendIndex> {
        let first = self.places.partition_point(|(other, _)| *other < name);
        let called = self.places[first..].iter().take_while(move |(other, _)| *other == name);
        called.map(|(_, i)| *i)
    }
}

impl Declaration {
    /// The recorded state, where it can be read.
    pub fn state(&self) -> Option<&State> {
        self.annotations.state()
    }

    /// The author's weights as recorded, where they can be read.
    pub fn recorded(&self) -> Option<&BySet<Weights>> {
        self.record().map(|record| &record.sets)
    }

    /// The same, with what it has as its author wrote it.
    pub(crate) fn record(&self) -> Option<&AuthoredWeights> {
        self.annotations.record()?.ok()
    }

    /// The weights that stand in the object, where they can be read.
    pub fn live(&self) -> BySet<Weights> {
        self.sets.iter().map(|set| (set.name.clone(), set.live())).collect()
    }

    /// Every backend of every set, in the author's order.
    pub fn backends(&self) -> impl Iterator<Item = &DeclaredBackend> {
        self.sets.iter().flat_map(|set| &set.backends)
    }

    /// The primary as the author set it: none where it is absent, or only our default.
    pub fn authored_primary(&self) -> Option<&str> {
        let there = self.annotations.get(annotations::PRIMARY_SERVICE)?;
        let defaulted = self.state().and_then(|state| state.defaulted_primary.as_ref());
        (defaulted != Some(there)).then_some(there.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::intent::tests::declaration;
    use serde_json::json;

    /// A rule with these backends: a Service, and its port.
    fn rule(backends: &[(&str, Option<u16>)]) -> DeclaredSet {
        let backends = backends.iter().map(|(name, port)| DeclaredBackend {
            name: (*name).into(),
            port: *port,
            ..DeclaredBackend::default()
        });
        DeclaredSet { name: "r".into(), backends: backends.collect(), ..DeclaredSet::default() }
    }

    #[test]
    fn an_annotation_names_a_backend_by_its_service_or_with_its_port() {
        let set = rule(&[
            ("web", Some(80)),
            ("api:8080", Some(8080)),
            ("api:9090", Some(9090)),
            ("db", None),
        ]);
        let by_name = set.by_name();
        for (name, places) in [
            ("web", vec![0]),
            ("web:80", vec![0]),
            ("web:81", vec![]),
            ("web:http", vec![]),
            ("api", vec![1, 2]),
            ("api:8080", vec![1]),
            ("api:80", vec![]),
            ("db", vec![3]),
            ("db:80", vec![]),
            ("d", vec![]),
            ("zzz", vec![]),
        ] {
            assert_eq!(by_name.get(name), places, "{name}");
        }
    }

    #[test]
    fn the_names_and_live_weights_of_sets_are_those_of_their_backends() {
        let split = declaration(&[("b", json!(2)), ("a", json!(0)), ("c", json!("x"))], &[]);
        assert_eq!(split.sets[0].names().collect::<Vec<_>>(), ["b", "a", "c"]);
        let weights = Weights::from([("a".into(), 0), ("b".into(), 2)]);
        assert_eq!(split.live(), BySet::from([(String::new(), weights)]));
        let names = split.backends().map(|backend| backend.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["b", "a", "c"]);
        assert!(split.sets[0].has("a") && !split.sets[0].has("d"));
    }

    #[test]
    fn only_a_rule_with_one_backend_is_alone() {
        let one = rule(&[("a", None)]);
        assert!(one.is_alone() && rule(&[]).is_alone());
        assert!(rule(&[("a", None), ("a", None)]).is_alone());
        assert!(!rule(&[("a", None), ("b", None)]).is_alone());
        assert!(!DeclaredSet { name: String::new(), ..one }.is_alone());
    }
}
