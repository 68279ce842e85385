//! A failover object as it is stored: its sets of backends with their weights, and what is recorded in it.

use crate::model::policy::{PREFIX, Policy};
use crate::truth::{Resource, StoredKey};
use serde_json::Value;
use std::collections::BTreeMap;

/// The label that marks an object as managed.
pub const LABEL: &str = "failover.linkerd.io/controlled-by";
/// The field manager of the program.
pub const PROGRAM: &str = "linkerd-failover";

/// A Service, by namespace and name.
pub type ServiceName = (String, String);

/// One backend of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// As annotations name it.
    pub name: String,
    /// Its Service.
    pub service: ServiceName,
    /// None where it cannot be read.
    pub weight: Option<u64>,
}

/// The backends that share one traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    /// As `state` calls it: `""` of a split, `#n` or its name of a rule.
    pub name: String,
    /// In their order.
    pub backends: Vec<Backend>,
}

impl Set {
    /// Whether every weight can be read.
    pub fn is_readable(&self) -> bool {
        self.backends.iter().all(|backend| backend.weight.is_some())
    }

    /// The backends with more than the smallest share; those with any, where none has more.
    pub fn active(&self) -> Vec<&str> {
        self.with_traffic().map(|b| b.name.as_str()).collect()
    }

    /// The same.
    pub fn with_traffic(&self) -> impl Iterator<Item = &Backend> {
        let largest = self.backends.iter().filter_map(|b| b.weight).max().unwrap_or_default();
        // A share of a warm standby is 1 beside weights that were scaled up.
        let share = u64::from(largest > 1_000);
        self.backends.iter().filter(move |b| b.weight.is_some_and(|weight| weight > share))
    }
}

/// What is stored of one failover object.
#[derive(Clone, Debug, PartialEq)]
pub struct FailoverObject {
    /// Its kind, namespace and name.
    pub key: StoredKey,
    /// Its uid.
    pub uid: String,
    /// Whether it has the label that the selector asks for.
    pub is_managed: bool,
    /// Whether it is being deleted.
    pub is_deleting: bool,
    /// Its sets.
    pub sets: Vec<Set>,
    /// What its author says by annotations.
    pub policy: Policy,
    /// The decision that is recorded in it.
    pub state: Option<Value>,
    /// The author's weights that are recorded in it.
    pub authored: Option<Value>,
    /// Whether the program claims fields of `spec` in managedFields.
    pub claims_spec: bool,
    /// Everything that only an author writes, to be compared.
    pub by_author: Value,
}

impl FailoverObject {
    /// Reads what is stored. `selector`: the value of the label.
    pub fn read(key: &StoredKey, stored: &Value, selector: &str) -> Self {
        let metadata = &stored["metadata"];
        let annotation = |name: &str| {
            let text = metadata["annotations"][format!("{PREFIX}{name}")].as_str()?;
            serde_json::from_str(text).ok()
        };
        Self {
            key: key.clone(),
            uid: metadata["uid"].as_str().unwrap_or_default().to_owned(),
            is_managed: metadata["labels"][LABEL] == selector,
            is_deleting: metadata["deletionTimestamp"].is_string(),
            sets: sets(key, &stored["spec"]),
            policy: Policy::read(stored),
            state: annotation("state"),
            authored: annotation("authored-weights"),
            claims_spec: claims_spec(metadata),
            by_author: by_author(stored),
        }
    }

    /// The weights of each set by backend; none where one cannot be read.
    pub fn weights(&self) -> Option<BTreeMap<(String, String), u64>> {
        let sets = self.sets.iter();
        let all = sets.flat_map(|set| {
            set.backends.iter().map(|b| Some(((set.name.clone(), b.name.clone()), b.weight?)))
        });
        all.collect()
    }

    /// The backends that are recorded as active in a set.
    pub fn recorded_active(&self, set: &str) -> Option<Vec<&str>> {
        let active = self.state.as_ref()?["sets"][set]["active"].as_array()?;
        Some(active.iter().filter_map(Value::as_str).collect())
    }

    /// Who recorded the decision.
    pub fn decided_by(&self) -> Option<&str> {
        self.state.as_ref()?["by"].as_str().filter(|by| !by.is_empty())
    }
}

fn sets(key: &StoredKey, spec: &Value) -> Vec<Set> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    if key.resource == Resource::Split {
        let backends = list(&spec["backends"]);
        let backends = backends.iter().map(|b| backend(b, "service", &key.namespace, None));
        return vec![Set { name: String::new(), backends: backends.collect() }];
    }
    let rules = list(&spec["rules"]);
    let set = |(i, rule): (usize, &Value)| {
        let name = rule["name"].as_str().map_or_else(|| format!("#{i}"), str::to_owned);
        let refs = list(&rule["backendRefs"]);
        let backends = refs.iter().map(|b| backend(b, "name", &key.namespace, Some(1)));
        Set { name, backends: backends.collect() }
    };
    rules.iter().enumerate().map(set).filter(|set| !set.backends.is_empty()).collect()
}

fn backend(backend: &Value, name: &str, namespace: &str, absent: Option<u64>) -> Backend {
    let service = backend[name].as_str().unwrap_or_default().to_owned();
    let other = backend["namespace"].as_str().filter(|other| *other != namespace);
    Backend {
        name: other.map_or_else(|| service.clone(), |other| format!("{other}/{service}")),
        service: (other.unwrap_or(namespace).to_owned(), service),
        weight: match &backend["weight"] {
            Value::Null => absent,
            weight => weight.as_u64(),
        },
    }
}

fn claims_spec(metadata: &Value) -> bool {
    let entries = metadata["managedFields"].as_array().into_iter().flatten();
    let ours =
        entries.filter(|entry| entry["manager"] == PROGRAM && entry["operation"] == "Update");
    ours.into_iter().any(|entry| entry["fieldsV1"]["f:spec"].is_object())
}

/// The object without what the program may write: weights, its own annotations, what the API server keeps, and
/// the status.
fn by_author(stored: &Value) -> Value {
    let mut object = stored.clone();
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        metadata.remove("generation");
        metadata.remove("resourceVersion");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(&format!("{PREFIX}state"));
            annotations.remove(&format!("{PREFIX}authored-weights"));
        }
        if metadata.get("annotations").is_some_and(|all| *all == serde_json::json!({})) {
            metadata.remove("annotations");
        }
    }
    without_weights(&mut object["spec"]);
    object
}

fn without_weights(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("weight");
            fields.values_mut().for_each(without_weights);
        }
        Value::Array(values) => values.iter_mut().for_each(without_weights),
        _ => {}
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// A split with these backends and weights, and these annotations.
    pub(crate) fn split(backends: &[(&str, u64)], annotations: &[(&str, &str)]) -> Value {
        let backends: Vec<_> = backends
            .iter()
            .map(|(name, weight)| json!({ "service": name, "weight": weight }))
            .collect();
        let mut object = json!({
            "metadata": { "name": "web", "namespace": "ns", "uid": "u", "labels": { LABEL: "linkerd-failover" } },
            "spec": { "service": "web", "backends": backends },
        });
        for (name, value) in annotations {
            object["metadata"]["annotations"][format!("{PREFIX}{name}")] = json!(value);
        }
        object
    }

    pub(crate) fn read(stored: &Value) -> FailoverObject {
        FailoverObject::read(
            &StoredKey::new(Resource::Split, "ns", "web"),
            stored,
            "linkerd-failover",
        )
    }

    #[test]
    fn a_route_has_a_set_for_each_rule_with_backends_and_an_absent_weight_is_one() {
        let route = json!({ "spec": { "rules": [
            { "backendRefs": [{ "name": "a" }, { "name": "b", "namespace": "other", "weight": 0 }] },
            { "filters": [] },
            { "name": "api", "backendRefs": [{ "name": "a", "namespace": "ns", "weight": "x" }] },
        ]}});
        let key = StoredKey::new(Resource::HttpRoute, "ns", "web");
        let object = FailoverObject::read(&key, &route, "linkerd-failover");
        let sets: Vec<_> =
            object.sets.iter().map(|set| (set.name.as_str(), set.is_readable())).collect();
        assert_eq!(sets, [("#0", true), ("api", false)]);
        let backends: Vec<_> =
            object.sets[0].backends.iter().map(|b| (b.name.as_str(), b.weight)).collect();
        assert_eq!(backends, [("a", Some(1)), ("other/b", Some(0))]);
        assert!(!object.is_managed);
    }

    #[test]
    fn a_warm_standbys_share_is_not_active() {
        let active = |weights: &[(&str, u64)]| -> Vec<String> {
            read(&split(weights, &[])).sets[0].active().into_iter().map(str::to_owned).collect()
        };
        assert_eq!(active(&[("a", 429_495), ("b", 1)]), ["a"]);
        assert_eq!(active(&[("a", 1), ("b", 1), ("c", 0)]), ["a", "b"]);
        assert!(active(&[("a", 0), ("b", 0)]).is_empty());
    }

    #[test]
    fn what_an_author_writes_is_the_same_whatever_the_weights_and_the_record_are() {
        let one = read(&split(&[("a", 1), ("b", 0)], &[]));
        let other = read(&split(&[("a", 0), ("b", 1)], &[("state", "{}")]));
        assert_eq!(one.by_author, other.by_author);
        assert_ne!(one.by_author, read(&split(&[("b", 0), ("a", 1)], &[])).by_author);
        assert_ne!(
            one.by_author,
            read(&split(&[("a", 1), ("b", 0)], &[("paused", "true")])).by_author
        );
    }
}
