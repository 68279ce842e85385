//! Which backends are preferred to which, and what each needs to count as ready.

use super::values::Annotation;
use super::{Declaration, DeclaredSet, Problem, Threshold, annotations};
use std::collections::BTreeMap;

/// The author's order of preference, for all sets of an object.
#[derive(Debug, PartialEq)]
pub struct Preference {
    primaries: Vec<String>,
    /// Fallbacks in order; the others come last.
    ordered: Vec<String>,
    needed: Needed,
    /// Whether the primary is the default because the author named none.
    pub primary_is_default: bool,
}

/// What backends need to count as ready.
#[derive(Debug, Default, PartialEq)]
struct Needed {
    primaries: Threshold,
    named: BTreeMap<String, Threshold>,
}

impl Preference {
    pub fn parse(declared: &Declaration, problems: &mut Vec<Problem>) -> Self {
        let named = Annotation::with(annotations::PRIMARY_SERVICE, declared.authored_primary());
        let primaries = named.as_backends(declared, problems);
        let primary_is_default = primaries.is_none();
        let first = || declared.backends().take(1).map(|b| b.name.clone()).collect();
        let primaries = primaries.unwrap_or_else(first);

        let order = Annotation::of(declared, annotations::FALLBACK_ORDER);
        let ordered = order.as_backends(declared, problems).unwrap_or_default();
        for name in ordered.iter().filter(|name| primaries.contains(name)) {
            let expected = format!("fallbacks only; {name} is a primary");
            problems.push(order.problem().expected(expected));
        }
        let needed = Needed::parse(declared, problems);
        Self { primaries, ordered, needed, primary_is_default }
    }

    /// Whether a set fails over: the one that a split has, and every rule that has a primary.
    pub fn concerns(&self, set: &DeclaredSet) -> bool {
        set.name.is_empty() || self.primaries.iter().any(|name| set.has(name))
    }

    /// Indices of a set's backends, the preferred tier first; each backend is in exactly one tier,
    /// no tier is empty.
    pub fn tiers(&self, set: &DeclaredSet) -> Vec<Vec<usize>> {
        let index = |name: &String| set.backends.iter().position(|b| b.name == *name);
        let mut primaries: Vec<usize> = self.primaries.iter().filter_map(index).collect();
        primaries.sort_unstable();
        let ordered: Vec<usize> = self.ordered.iter().filter_map(index).collect();
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
    pub fn needed(&self, backend: &str) -> Threshold {
        match self.needed.named.get(backend) {
            Some(threshold) => *threshold,
            None if self.primaries.iter().any(|name| name == backend) => self.needed.primaries,
            None => Threshold::default(),
        }
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
