//! The object before an edit, by the sets that it has after it.

use crate::engine::{
    AuthoredText, AuthoredWeights, BySet, Declaration, DeclaredBackend, DeclaredSet, SetState,
    State, Weights, service_of,
};
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// An object before an edit.
#[derive(Debug)]
pub(crate) struct PreviousObject {
    /// Its state, with its sets by the names that they have after the edit.
    pub state: Option<State>,
    /// The API server calls again for the same request: this is the result of the first call.
    pub is_reinvocation: bool,
    sets: BySet<PreviousSet>,
}

/// A set before an edit.
#[derive(Debug, Default)]
pub(crate) struct PreviousSet {
    pub live: Weights,
    /// The live weights as text, where they are no whole numbers.
    pub live_text: AuthoredText,
    pub recorded: Weights,
    /// The recorded weights as text, where they are no whole numbers.
    pub recorded_text: AuthoredText,
    pub state: Option<SetState>,
    /// Its primaries; none: it did not fail over.
    pub primaries: Vec<String>,
    /// Whether its primaries were neither named nor clear from the weights.
    pub without_primary: bool,
    /// Whether its author named no primary.
    pub by_default: bool,
    /// The backend that was first.
    pub first: Option<String>,
    pub backends: Vec<DeclaredBackend>,
}

impl PreviousObject {
    /// Reads the old object, or, where the API server calls again for the same request, our first result.
    pub(crate) fn of(old: &DynamicObject, before: &Declaration, now: &Declaration) -> Self {
        let version = old.resource_version();
        // The state of the first call has the resourceVersion of the old object.
        let again = now.state().filter(|state| version.is_some() && state.edited == version);
        if let Some(state) = again {
            let record = now.record().cloned().unwrap_or_default();
            let (mut recorded, mut text) = (record.sets, record.written);
            let set = |(name, set): (&String, &SetState)| {
                let previous = PreviousSet {
                    live: set.weights.clone(),
                    live_text: AuthoredText::new(),
                    recorded: recorded.remove(name).unwrap_or_default(),
                    recorded_text: text.remove(name).unwrap_or_default(),
                    state: Some(set.clone()),
                    ..PreviousSet::default()
                };
                (name.clone(), previous)
            };
            let sets = state.sets.iter().map(set).collect();
            return Self { state: Some(state.clone()), is_reinvocation: true, sets };
        }
        Self::before(before, now)
    }

    /// Reads the old object; both declarations are [normalized](Declaration::normalized).
    pub(crate) fn before(before: &Declaration, now: &Declaration) -> Self {
        let mut state = before.state().cloned();
        let mut states = state.as_mut().map(|s| std::mem::take(&mut s.sets)).unwrap_or_default();
        let mut record = before.record().cloned().unwrap_or_default();
        let mut primaries = before.primaries();
        let by_default = before.authored_primary().is_none();
        let without: Vec<&str> = before.without_primary().map(|set| set.name.as_str()).collect();
        let mut sets = BySet::new();
        for (old, new) in pairs(&before.sets, &now.sets) {
            let live = old.live();
            let recorded_text = match record.sets.contains_key(&old.name) {
                true => record.written.remove(&old.name).unwrap_or_default(),
                false => old.written.clone(),
            };
            let previous = PreviousSet {
                recorded: record.sets.remove(&old.name).unwrap_or_else(|| live.clone()),
                recorded_text,
                state: states.remove(&old.name),
                live_text: old.written.clone(),
                live,
                primaries: primaries.remove(&old.name).unwrap_or_default(),
                without_primary: without.contains(&old.name.as_str()),
                by_default,
                first: old.backends.first().map(|b| b.name.clone()),
                backends: old.backends.clone(),
            };
            sets.insert(new.name.clone(), previous.renamed(&new_names(old, new)));
        }
        if let Some(state) = &mut state {
            let previous = |(name, previous): (&String, &PreviousSet)| {
                Some((name.clone(), previous.state.clone()?))
            };
            state.sets = sets.iter().filter_map(previous).collect();
        }
        Self { state, is_reinvocation: false, sets }
    }

    pub(crate) fn set(&self, name: &str) -> Option<&PreviousSet> {
        self.sets.get(name)
    }

    /// The sets that failed over before the edit, by the names that they have after it.
    pub(crate) fn failed_over(&self) -> impl Iterator<Item = (&str, &PreviousSet)> {
        let sets = self.sets.iter().filter(|(_, previous)| previous.state.is_some());
        sets.map(|(name, previous)| (name.as_str(), previous))
    }

    /// The author's weights as recorded.
    pub(crate) fn recorded(&self) -> AuthoredWeights {
        let failing_over = || self.sets.iter().filter(|(_, previous)| previous.state.is_some());
        let sets = failing_over().map(|(name, previous)| (name.clone(), previous.recorded.clone()));
        let written =
            failing_over().map(|(name, previous)| (name.clone(), previous.recorded_text.clone()));
        let written = written.filter(|(_, written)| !written.is_empty()).collect();
        AuthoredWeights::new(sets.collect()).written(written)
    }
}

impl PreviousSet {
    /// The same, with its backends by these names.
    fn renamed(self, names: &HashMap<String, String>) -> Self {
        if names.is_empty() {
            return self;
        }
        let new = |name: String| names.get(&name).cloned().unwrap_or(name);
        Self {
            live_text: self.live_text.into_iter().map(|(name, w)| (new(name), w)).collect(),
            live: self.live.into_iter().map(|(name, weight)| (new(name), weight)).collect(),
            recorded: self.recorded.into_iter().map(|(name, w)| (new(name), w)).collect(),
            recorded_text: self.recorded_text.into_iter().map(|(name, w)| (new(name), w)).collect(),
            state: self.state.map(|state| state.renamed(names)),
            primaries: self.primaries.into_iter().map(new).collect(),
            first: self.first.map(new),
            ..self
        }
    }

    /// Whether the weight of a backend is the same as before.
    pub(crate) fn is_untouched(&self, set: &DeclaredSet, backend: &DeclaredBackend) -> bool {
        match (set.written.get(&backend.name), self.live_text.get(&backend.name)) {
            (None, None) => self.live.get(&backend.name).copied() == backend.weight.whole(),
            (Some(now), Some(before)) => now == before,
            // Other weights of the set changed how it is scaled.
            (Some(now), None) => {
                let live = self.live.get(&backend.name);
                live.is_some_and(|live| is_written_as(now, *live))
            }
            (None, Some(before)) => {
                Some(before.as_slice()) == whole(backend).as_ref().map(std::slice::from_ref)
            }
        }
    }

    /// The backends that carried traffic.
    pub(crate) fn carrying(&self) -> Vec<String> {
        let carrying = self.live.iter().filter(|(_, weight)| **weight > 0);
        carrying.map(|(name, _)| name.clone()).collect()
    }

    /// The active backends.
    pub(crate) fn active(&self) -> Vec<String> {
        self.state.as_ref().map_or_else(|| self.carrying(), |state| state.active.clone())
    }

    /// Whether no active backend is a primary.
    pub(crate) fn is_away(&self) -> bool {
        let active = self.active();
        !active.is_empty() && !active.iter().any(|name| self.primaries.contains(name))
    }

    /// A note on each weight that was changed in another way than by the applied manifest.
    pub(crate) fn two_authors(&self, authored: &Weights) -> Vec<String> {
        let changed = authored.iter().filter_map(|(name, weight)| {
            let was = self.recorded.get(name).filter(|was| *was != weight)?;
            Some(format!(
                "two authors: the weight of {name} was {was} and is {weight} from now on; the manifest given to kubectl apply says otherwise"
            ))
        });
        changed.collect()
    }
}

/// Whether the entries of a backend have a weight as we write it: the first has it, those that repeat it have 0.
fn is_written_as(entries: &[Value], weight: u32) -> bool {
    let zero = Value::from(0);
    entries.split_first().is_some_and(|(first, repeated)| {
        *first == weight && repeated.iter().all(|weight| *weight == zero)
    })
}

/// The new names of backends, by the old ones: with a second port of the same Service in the set, the
/// name of a backend includes its port.
fn new_names(old: &DeclaredSet, new: &DeclaredSet) -> HashMap<String, String> {
    let ports = |set: &'_ DeclaredSet| -> Vec<((String, u16), String)> {
        let with_port = set.backends.iter().filter_map(|backend| {
            let of = (service_of(&backend.name).to_owned(), backend.port?);
            Some((of, backend.name.clone()))
        });
        with_port.collect()
    };
    let now: HashMap<_, _> = ports(new).into_iter().collect();
    let renamed = ports(old).into_iter().filter_map(|(of, before)| {
        let after = now.get(&of).filter(|after| **after != before)?;
        Some((before, after.clone()))
    });
    renamed.collect()
}

fn whole(backend: &DeclaredBackend) -> Option<Value> {
    backend.weight.whole().map(Value::from)
}

fn is_named(set: &DeclaredSet) -> bool {
    !set.name.starts_with('#')
}

type Alike = fn(&DeclaredSet, &DeclaredSet) -> bool;

/// Pairs old and new sets: by name; otherwise by what a rule matches, with its backends and without,
/// then by its backends. Never by index: a rule without a counterpart is new. A rule may get a name or
/// lose it.
fn pairs<'a>(
    before: &'a [DeclaredSet],
    now: &'a [DeclaredSet],
) -> Vec<(&'a DeclaredSet, &'a DeclaredSet)> {
    const ALIKE: [Alike; 4] = [
        |old, new| is_named(new) && old.name == new.name,
        |old, new| old.matches == new.matches && has_same_backends(old, new),
        |old, new| old.matches == new.matches,
        has_same_backends,
    ];
    let mut pairs: Vec<(&DeclaredSet, &DeclaredSet)> = vec![];
    for alike in ALIKE {
        for new in now {
            let taken = |old: &&DeclaredSet| pairs.iter().any(|(o, _)| std::ptr::eq(*o, *old));
            if pairs.iter().any(|(_, n)| std::ptr::eq(*n, new)) {
                continue;
            }
            let old = before.iter().filter(|old| !taken(old)).find(|old| alike(old, new));
            if let Some(old) = old {
                pairs.push((old, new));
            }
        }
    }
    pairs
}

fn has_same_backends(old: &DeclaredSet, new: &DeclaredSet) -> bool {
    old.names().collect::<BTreeSet<_>>() == new.names().collect::<BTreeSet<_>>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ParsedWeight;
    use serde_json::json;

    #[test]
    fn a_weight_of_ours_is_untouched_also_where_its_backend_stands_twice() {
        let live = [("a".to_owned(), 7)].into();
        let previous = PreviousSet { live, ..PreviousSet::default() };
        let weight = ParsedWeight::Whole(7);
        let backend = DeclaredBackend { name: "a".into(), weight, ..DeclaredBackend::default() };
        let is_untouched = |entries: &[Value]| {
            let written = [("a".to_owned(), entries.to_vec())].into();
            let set = DeclaredSet { written, ..DeclaredSet::default() };
            previous.is_untouched(&set, &backend)
        };
        assert!(is_untouched(&[json!(7)]) && is_untouched(&[json!(7), json!(0)]));
        for authors in [[json!(1), json!(6)], [json!(0), json!(7)], [json!("7"), json!(0)]] {
            assert!(!is_untouched(&authors), "{authors:?}");
        }
    }
}
