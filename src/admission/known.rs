//! What is known of an object before an edit, told by the sets that it has after it.

use crate::failover::{BySet, Declaration, DeclaredSet, SetState, State, Weights};
use kube::ResourceExt;
use kube::core::DynamicObject;

/// What is known of an object before an edit.
#[derive(Debug)]
pub struct Known {
    /// Its state, with its sets by the names that they have after the edit.
    pub state: Option<State>,
    sets: BySet<KnownSet>,
}

/// What is known of a set of backends before an edit.
#[derive(Debug, Default)]
pub struct KnownSet {
    pub live: Weights,
    pub recorded: Weights,
    pub state: Option<SetState>,
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
                };
                (name.clone(), known)
            };
            let sets = state.sets.iter().map(set).collect();
            return Self { state: Some(state), sets };
        }
        Self::before(before, now)
    }

    /// What the old object says.
    pub fn before(before: &Declaration, now: &Declaration) -> Self {
        let mut state = before.state();
        let mut states = state.as_mut().map(|s| std::mem::take(&mut s.sets)).unwrap_or_default();
        let mut recorded = before.recorded().unwrap_or_default();
        let mut sets = BySet::new();
        for (old, new) in pairs(&before.sets, &now.sets) {
            let live = old.live();
            sets.insert(
                new.name.clone(),
                KnownSet {
                    recorded: recorded.remove(&old.name).unwrap_or_else(|| live.clone()),
                    state: states.remove(&old.name),
                    live,
                },
            );
        }
        if let Some(state) = &mut state {
            let known =
                |(name, known): (&String, &KnownSet)| Some((name.clone(), known.state.clone()?));
            state.sets = sets.iter().filter_map(known).collect();
        }
        Self { state, sets }
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
/// by its place. Each is taken once: a rule may be given a name, or lose it.
fn pairs<'a>(
    before: &'a [DeclaredSet],
    now: &'a [DeclaredSet],
) -> Vec<(&'a DeclaredSet, &'a DeclaredSet)> {
    const ALIKE: [Alike; 4] = [
        |old, new| is_named(new) && old.name == new.name,
        |old, new| old.matches == new.matches && old.names().eq(new.names()),
        |old, new| old.matches == new.matches,
        |old, new| old.name == new.name,
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
