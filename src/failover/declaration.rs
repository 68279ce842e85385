//! A failover object as it stands in the cluster, before any rule is applied.

use super::{AuthoredWeights, ParsedWeight, Problem, State, Weights, annotations};
use std::collections::BTreeMap;

/// A failover object as its kind's adapter reads it: no rule applied, nothing refused yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declaration {
    /// The Service that clients call.
    pub apex: String,
    /// In the author's order.
    pub backends: Vec<DeclaredBackend>,
    /// All annotations of the object.
    pub annotations: BTreeMap<String, String>,
    /// What the adapter could not read, each with its field path.
    pub unreadable: Vec<Problem>,
}

/// A backend as it stands in the object.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredBackend {
    pub name: String,
    pub weight: ParsedWeight,
    /// Field path of the backend: `spec.backends[0]`.
    pub path: String,
}

impl Declaration {
    /// The `state` annotation, where it can be read.
    pub fn state(&self) -> Option<State> {
        self.annotations.get(annotations::STATE).and_then(|text| State::parse(text))
    }

    /// The author's weights as recorded, where they can be read.
    pub fn recorded(&self) -> Option<Weights> {
        let text = self.annotations.get(annotations::AUTHORED_WEIGHTS)?;
        AuthoredWeights::parse(text).ok()?.sets.remove("")
    }

    /// The weights that stand in the object, where they can be read.
    pub fn live(&self) -> Weights {
        self.backends.iter().filter_map(|b| Some((b.name.clone(), b.weight.whole()?))).collect()
    }

    /// The primary as the author set it: none where it is absent, or only our default.
    pub fn authored_primary(&self) -> Option<&str> {
        let set = self.annotations.get(annotations::PRIMARY_SERVICE)?;
        let defaulted = self.state().and_then(|state| state.defaulted_primary);
        (defaulted.as_ref() != Some(set)).then_some(set.as_str())
    }
}
