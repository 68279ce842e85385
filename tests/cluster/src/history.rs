//! What happened in a namespace, in the order in which etcd took it.

use kube::core::DynamicObject;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// An object as it was from a resource version on.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub number: u64,
    pub kind: String,
    pub name: String,
    /// None: it was deleted.
    pub object: Option<DynamicObject>,
}

/// Weights that changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// The resource version of the write that changed them.
    pub number: u64,
    /// The weights before, in the author's order.
    pub from: Vec<f64>,
    /// The weights after.
    pub to: Vec<f64>,
}

/// All versions of some kinds of objects, and a moment from which on they are of interest.
#[derive(Clone, Debug)]
pub struct History {
    since: u64,
    versions: Vec<Version>,
}

impl History {
    pub(crate) fn new(since: u64, mut versions: Vec<Version>) -> Self {
        versions.sort_by_key(|version| version.number);
        Self { since, versions }
    }

    /// The version after which it begins.
    pub fn mark(&self) -> u64 {
        self.since
    }

    /// Every change of an object's weights.
    pub fn moves(&self, object: &str) -> Vec<Move> {
        let mut moves = Vec::new();
        let mut last: Option<Vec<f64>> = None;
        for version in self.versions.iter().filter(|version| version.name == object) {
            let Some(to) = version.object.as_ref().and_then(weights) else { continue };
            if let Some(from) = last.replace(to.clone())
                && from != to
                && version.number > self.since
            {
                moves.push(Move { number: version.number, from, to });
            }
        }
        moves
    }

    /// An object's weights at the end.
    pub fn weights(&self, object: &str) -> Option<Vec<f64>> {
        let mut versions = self.versions.iter().rev().filter(|version| version.name == object);
        versions.find_map(|version| version.object.as_ref().and_then(weights))
    }

    /// The version with which the last endpoint of a Service went that was ready at the beginning,
    /// whether others have come meanwhile or not.
    pub fn loss(&self, service: &str) -> Option<u64> {
        let mut first = BTreeSet::new();
        for (number, ready) in self.ready(service) {
            if number <= self.since {
                first = ready;
            } else if !first.is_empty() && first.is_disjoint(&ready) {
                return Some(number);
            }
        }
        None
    }

    /// The version with which a Service had no ready endpoint left at all.
    pub fn empty(&self, service: &str) -> Option<u64> {
        let ready = self.ready(service).into_iter();
        let mut later = ready.filter(|(number, _)| *number > self.since);
        later.find(|(_, ready)| ready.is_empty()).map(|(number, _)| number)
    }

    /// The version with which the first pod began to terminate, or went without that.
    pub fn first_end(&self) -> Option<u64> {
        let ends = |version: &&Version| {
            let ending = |pod: &DynamicObject| pod.metadata.deletion_timestamp.is_some();
            version.kind == "Pod" && version.object.as_ref().is_none_or(ending)
        };
        let later = self.versions.iter().filter(|version| version.number > self.since);
        later.filter(ends).map(|version| version.number).next()
    }

    /// How many endpoints of a Service its slices had as ready when a version was written.
    pub fn ready_at(&self, service: &str, version: u64) -> usize {
        let ready = self.ready(service).into_iter();
        let before = ready.take_while(|(number, _)| *number <= version);
        before.last().map_or(0, |(_, ready)| ready.len())
    }

    /// Who is ready of a Service, by pod or address, after each change of its slices.
    fn ready(&self, service: &str) -> Vec<(u64, BTreeSet<String>)> {
        let mut slices: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let mut ready = Vec::new();
        for version in self.versions.iter().filter(|version| version.kind == "EndpointSlice") {
            let of_service = |slice: &&DynamicObject| {
                let labels = slice.metadata.labels.as_ref();
                labels.and_then(|labels| labels.get("kubernetes.io/service-name"))
                    == Some(&service.to_string())
            };
            match version.object.as_ref().filter(of_service) {
                Some(slice) => slices.insert(&version.name, ready_of_slice(slice)),
                None => slices.remove(version.name.as_str()),
            };
            ready.push((version.number, slices.values().flatten().cloned().collect()));
        }
        ready
    }
}

/// For the message of a test that fails: what has happened, one version a line.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after version {}:", self.since)?;
        for version in self.versions.iter().filter(|version| version.number > self.since) {
            let Version { number, kind, name, object } = version;
            write!(f, "\n  {number} {kind} {name}")?;
            match object {
                None => write!(f, " deleted")?,
                Some(slice) if kind == "EndpointSlice" => {
                    write!(f, " ready: {:?}", ready_of_slice(slice))?;
                }
                Some(object) if object.metadata.deletion_timestamp.is_some() => {
                    write!(f, " terminating")?;
                }
                Some(object) => {
                    if let Some(weights) = weights(object) {
                        write!(f, " {weights:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn ready_of_slice(slice: &DynamicObject) -> BTreeSet<String> {
    let endpoints = list(&slice.data, "endpoints");
    let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] != false);
    let name = |endpoint: &Value| {
        let name = endpoint["targetRef"]["name"].as_str().or(endpoint["addresses"][0].as_str());
        name.unwrap_or_default().to_string()
    };
    ready.map(name).collect()
}

/// The weights of a TrafficSplit, or of all rules of a route one after the other.
fn weights(object: &DynamicObject) -> Option<Vec<f64>> {
    let spec = object.data.get("spec")?;
    if spec.get("backends").is_none() && spec.get("rules").is_none() {
        return None;
    }
    let rules = list(spec, "rules").flat_map(|rule| list(rule, "backendRefs"));
    let backends = list(spec, "backends").chain(rules);
    Some(backends.map(|backend| backend["weight"].as_f64().unwrap_or(1.0)).collect())
}

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[field].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn version(number: u64, object: Value) -> Version {
        let object: DynamicObject = serde_json::from_value(object).expect("object");
        let kind = object.types.as_ref().expect("a kind").kind.clone();
        let name = object.metadata.name.clone().expect("a name");
        Version { number, kind, name, object: Some(object) }
    }

    fn slice(number: u64, name: &str, ready: &[(&str, bool)]) -> Version {
        let endpoint = |(pod, ready): &(&str, bool)| json!({ "targetRef": { "name": pod }, "conditions": { "ready": ready } });
        let endpoints: Vec<Value> = ready.iter().map(endpoint).collect();
        version(
            number,
            json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": { "name": name, "labels": { "kubernetes.io/service-name": "emoji-svc" } },
                "endpoints": endpoints,
            }),
        )
    }

    fn split(number: u64, weights: [u32; 2]) -> Version {
        version(
            number,
            json!({
                "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
                "metadata": { "name": "emoji" },
                "spec": { "backends": weights.map(|weight| json!({ "weight": weight })) },
            }),
        )
    }

    #[test]
    fn the_order_is_that_of_the_versions_not_of_their_arrival() {
        let history = History::new(
            10,
            vec![
                slice(5, "one", &[("a", true), ("b", true)]),
                slice(6, "other", &[("c", true)]),
                slice(12, "one", &[("a", false), ("b", true)]),
                slice(13, "other", &[]),
                slice(15, "one", &[("a", false), ("b", false), ("d", true)]),
                slice(16, "one", &[]),
                split(3, [0, 0]),
                split(4, [1, 0]),
                split(14, [0, 1]),
                split(17, [0, 1]),
                split(18, [1, 0]),
            ],
        );
        assert_eq!(history.loss("emoji-svc"), Some(15), "{history}");
        assert_eq!(history.loss("other-svc"), None);
        let moves: Vec<_> = history.moves("emoji").iter().map(|m| (m.number, m.to[0])).collect();
        assert_eq!(moves, [(14, 0.0), (18, 1.0)]);
        assert_eq!(history.first_end(), None);
        assert!(
            history.to_string().contains("\n  14 TrafficSplit emoji [0.0, 1.0]\n"),
            "{history}"
        );
    }
}
