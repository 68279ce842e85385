//! What is known of an object before an edit, told by the sets that it has after it.

use crate::failover::{BySet, Declaration, DeclaredBackend, DeclaredSet, SetState, State, Weights};
use kube::ResourceExt;
use kube::core::DynamicObject;
use std::collections::BTreeSet;

/// What is known of an object before an edit.
#[derive(Debug)]
pub struct Known {
    /// Its state, with its sets by the names that they have after the edit.
    pub state: Option<State>,
    /// The request has been here before: what is known is what we made of it then.
    pub is_again: bool,
    sets: BySet<KnownSet>,
}

/// What is known of a set of backends before an edit.
#[derive(Debug, Default)]
pub struct KnownSet {
    pub live: Weights,
    pub recorded: Weights,
    pub state: Option<SetState>,
    /// What it preferred; none: it did not fail over.
    pub primaries: Vec<String>,
    /// Whether nobody could tell what it prefers.
    pub without_primary: bool,
    /// Whether its author had named none.
    pub by_default: bool,
    /// The backend that was first.
    pub first: Option<String>,
    pub backends: Vec<DeclaredBackend>,
}

impl Known {
    /// What the old object says; but in a request that has been here before, what we made of it.
    pub fn of(old: &DynamicObject, before: &Declaration, now: &Declaration) -> Self {
        let version = old.resource_version();
        // Our own work in this very request, which the API server shows us again.
        let again = now.state().filter(|state| version.is_some() && state.edited == version);
        if let Some(state) = again {
            let mut recorded = now.recorded().unwrap_or_default();
            let set = |(name, set): (&String, &SetState)| {
                let known = KnownSet {
                    live: set.weights.clone(),
                    recorded: recorded.remove(name).unwrap_or_default(),
                    state: Some(set.clone()),
                    ..KnownSet::default()
                };
                (name.clone(), known)
            };
            let sets = state.sets.iter().map(set).collect();
            return Self { state: Some(state), is_again: true, sets };
        }
        Self::before(before, now)
    }

    /// What the old object says.
    pub fn before(before: &Declaration, now: &Declaration) -> Self {
        let mut state = before.state();
        let mut states = state.as_mut().map(|s| std::mem::take(&mut s.sets)).unwrap_or_default();
        let mut recorded = before.recorded().unwrap_or_default();
        let mut primaries = before.primaries();
        let by_default = before.authored_primary().is_none();
        let without: Vec<&str> = before.without_primary().map(|set| set.name.as_str()).collect();
        let mut sets = BySet::new();
        for (old, new) in pairs(&before.sets, &now.sets) {
            let live = old.live();
            sets.insert(
                new.name.clone(),
                KnownSet {
                    recorded: recorded.remove(&old.name).unwrap_or_else(|| live.clone()),
                    state: states.remove(&old.name),
                    live,
                    primaries: primaries.remove(&old.name).unwrap_or_default(),
                    without_primary: without.contains(&old.name.as_str()),
                    by_default,
                    first: old.backends.first().map(|b| b.name.clone()),
                    backends: old.backends.clone(),
                },
            );
        }
        if let Some(state) = &mut state {
            let known =
                |(name, known): (&String, &KnownSet)| Some((name.clone(), known.state.clone()?));
            state.sets = sets.iter().filter_map(known).collect();
        }
        Self { state, is_again: false, sets }
    }

    pub fn set(&self, name: &str) -> Option<&KnownSet> {
        self.sets.get(name)
    }

    /// The sets that failed over before the edit, by the names that they have after it.
    pub fn failed_over(&self) -> impl Iterator<Item = (&str, &KnownSet)> {
        let sets = self.sets.iter().filter(|(_, known)| known.state.is_some());
        sets.map(|(name, known)| (name.as_str(), known))
    }

    /// The author's weights as recorded.
    pub fn recorded(&self) -> BySet<Weights> {
        let failing_over = self.sets.iter().filter(|(_, known)| known.state.is_some());
        failing_over.map(|(name, known)| (name.clone(), known.recorded.clone())).collect()
    }
}

impl KnownSet {
    /// The backends that carried traffic.
    pub fn carrying(&self) -> Vec<String> {
        let carrying = self.live.iter().filter(|(_, weight)| **weight > 0);
        carrying.map(|(name, _)| name.clone()).collect()
    }

    /// The backends that had the traffic.
    pub fn active(&self) -> Vec<String> {
        self.state.as_ref().map_or_else(|| self.carrying(), |state| state.active.clone())
    }

    /// Whether the traffic is off what it prefers.
    pub fn is_away(&self) -> bool {
        let active = self.active();
        !active.is_empty() && !active.iter().any(|name| self.primaries.contains(name))
    }

    /// A word on each weight that is changed past the manifest that was applied.
    pub fn two_authors(&self, authored: &Weights) -> Vec<String> {
        let changed = authored.iter().filter_map(|(name, weight)| {
            let was = self.recorded.get(name).filter(|was| *was != weight)?;
            Some(format!(
                "two authors: the weight of {name} was {was} and is {weight} from now on; the manifest given to kubectl apply says otherwise"
            ))
        });
        changed.collect()
    }
}

fn is_named(set: &DeclaredSet) -> bool {
    !set.name.starts_with('#')
}

type Alike = fn(&DeclaredSet, &DeclaredSet) -> bool;

/// Which set was which: by name; otherwise by what it matches, with its backends and without, then
/// by its backends. Never by its place: a rule that is like none before is new. Each is taken once: a
/// rule may be given a name, or lose it.
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
