//! Which backends are preferred to which, and what each needs to count as ready.

use super::own_primary::{Defaulted, OwnPrimary};
use super::values::Annotation;
use super::{BySet, Declaration, DeclaredSet, Problem, State, Threshold, annotations};
use std::collections::BTreeMap;

/// The author's order of preference, for all sets of an object.
#[derive(Debug, PartialEq)]
pub struct Preference {
    primaries: Primaries,
    /// Fallbacks in order; the others come last.
    ordered: Vec<String>,
    needed: Needed,
}

/// The preferred backends, by name.
#[derive(Debug, PartialEq)]
enum Primaries {
    /// As the author named them, for all sets.
    Named(Vec<String>),
    /// Each set's own, where it has one, because the author named none.
    Own(BySet<String>),
}

/// What backends need to count as ready.
#[derive(Debug, Default, PartialEq)]
struct Needed {
    primaries: Threshold,
    named: BTreeMap<String, Threshold>,
}

impl Preference {
    pub fn parse(declared: &Declaration, problems: &mut Vec<Problem>) -> Self {
        let state = declared.state();
        let named = declared.authored_primary_beside(state.as_ref());
        let named = Annotation::with(annotations::PRIMARY_SERVICE, named);
        let primaries = match named.as_backends(declared, problems) {
            Some(named) => Primaries::Named(named),
            None => Primaries::Own(own_primaries(declared, state)),
        };

        let order = Annotation::of(declared, annotations::FALLBACK_ORDER);
        let ordered = order.as_backends(declared, problems).unwrap_or_default();
        for name in ordered.iter().filter(|name| primaries.always_have(name, declared)) {
            let expected = format!("fallbacks only; {name} is a primary");
            problems.push(order.problem().expected(expected));
        }
        let needed = Needed::parse(declared, problems);
        Self { primaries, ordered, needed }
    }

    /// Whether the primaries are the default because the author named none.
    pub fn primary_is_default(&self) -> bool {
        matches!(self.primaries, Primaries::Own(_))
    }

    /// Whether a set fails over: the one that a split has, and every rule that has a primary.
    pub fn concerns(&self, set: &DeclaredSet) -> bool {
        set.name.is_empty() || !self.primaries(set).is_empty()
    }

    /// Indices of a set's preferred backends, ascending.
    pub fn primaries(&self, set: &DeclaredSet) -> Vec<usize> {
        let is_primary = |i: &usize| self.primaries.have(&set.name, &set.backends[*i].name);
        (0..set.backends.len()).filter(is_primary).collect()
    }

    /// Indices of a set's backends, the preferred tier first; each backend is in exactly one tier,
    /// no tier is empty.
    pub fn tiers(&self, set: &DeclaredSet) -> Vec<Vec<usize>> {
        let index = |name: &String| set.backends.iter().position(|b| b.name == *name);
        let primaries = self.primaries(set);
        let ordered: Vec<usize> = self.ordered.iter().filter_map(index).collect();
        // The primary of one rule may be a fallback of another.
        let ordered: Vec<usize> = ordered.into_iter().filter(|i| !primaries.contains(i)).collect();
        let rest: Vec<usize> = (0..set.backends.len())
            .filter(|i| !primaries.contains(i) && !ordered.contains(i))
            .collect();
        let mut tiers = vec![primaries];
        tiers.extend(ordered.into_iter().map(|i| vec![i]));
        tiers.push(rest);
        tiers.retain(|tier| !tier.is_empty());
        tiers
    }

    /// What a backend needs. `2` or `50%` is meant for the primaries; fallbacks need 1 unless named.
    pub fn needed(&self, backend: &str, is_primary: bool) -> Threshold {
        match self.needed.named.get(backend) {
            Some(threshold) => *threshold,
            None if is_primary => self.needed.primaries,
            None => Threshold::default(),
        }
    }
}

/// The primary of each set that has one, without a word from the author.
fn own_primaries(declared: &Declaration, state: Option<State>) -> BySet<String> {
    let defaulted = Defaulted::new(declared, state);
    let own = |set: &DeclaredSet| match defaulted.primary(set) {
        OwnPrimary::Is(primary) => Some((set.name.clone(), primary)),
        OwnPrimary::CannotBeTold | OwnPrimary::Alone => None,
    };
    declared.sets.iter().filter_map(own).collect()
}

impl Primaries {
    fn have(&self, set: &str, backend: &str) -> bool {
        match self {
            Self::Named(named) => named.iter().any(|name| name == backend),
            Self::Own(own) => own.get(set).is_some_and(|primary| primary == backend),
        }
    }

    /// Whether a backend is a primary wherever it stands.
    fn always_have(&self, backend: &str, declared: &Declaration) -> bool {
        let mut sets = declared.sets.iter().filter(|set| set.has(backend)).peekable();
        sets.peek().is_some() && sets.all(|set| self.have(&set.name, backend))
    }
}

impl Needed {
    fn parse(declared: &Declaration, problems: &mut Vec<Problem>) -> Self {
        let mut needed = Self::default();
        let annotation = Annotation::of(declared, annotations::MIN_READY);
        let Some(text) = declared.annotations.get(annotations::MIN_READY) else { return needed };
        if !text.contains('=') {
            match Threshold::parse(text.trim()) {
                Some(threshold) => needed.primaries = threshold,
                None => problems.push(annotation.problem().expected(EXPECTED)),
            }
            return needed;
        }
        for part in text.split(',') {
            let read = part.split_once('=').and_then(|(name, threshold)| {
                Some((name.trim(), Threshold::parse(threshold.trim())?))
            });
            let Some((name, threshold)) = read else {
                problems.push(annotation.problem().expected(EXPECTED));
                return needed;
            };
            if needed.named.contains_key(name) {
                let expected = format!("each backend once; {name} is named twice");
                problems.push(annotation.problem().expected(expected));
            } else if declared.backends().any(|b| b.name == name) {
                needed.named.insert(name.to_owned(), threshold);
            } else if declared.backends().next().is_some() {
                problems.push(annotation.stranger(name, text, declared));
            }
        }
        needed
    }
}

const EXPECTED: &str =
    "a count such as 2, a percentage from 1% to 100%, or one per backend: name=2,other=50%";
