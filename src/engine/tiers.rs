//! Which backends are preferred to which, and what each needs to count as ready.

use crate::engine::declaration::ByName;
use crate::engine::default_primary::{DefaultPrimaries, DefaultPrimary};
use crate::engine::names::service_of;
use crate::engine::values::{Annotation, MOST_PROBLEMS, Names};
use crate::engine::{
    BackendIndex, BySet, Declaration, DeclaredBackend, DeclaredSet, Problem, Threshold, annotations,
};
use std::collections::{BTreeMap, BTreeSet};

/// The author's order of preference, for all sets of an object.
#[derive(Debug, PartialEq)]
pub(super) struct Preference {
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
    Default(BySet<String>),
}

/// What backends need to count as ready.
#[derive(Debug, Default, PartialEq)]
struct Needed {
    primaries: Threshold,
    named: BTreeMap<String, Threshold>,
}

impl Preference {
    pub(super) fn parse(declared: &Declaration, problems: &mut Vec<Problem>) -> Self {
        let named = declared.authored_primary();
        let named = Annotation::with(annotations::PRIMARY_SERVICE, named);
        let primaries = match named.as_backends(declared, problems) {
            Some(named) => Primaries::Named(named),
            None => Primaries::Default(default_primaries(declared)),
        };

        let order = Annotation::of(declared, annotations::FALLBACK_ORDER);
        let ordered = order.as_backends(declared, problems).unwrap_or_default();
        if !ordered.is_empty() {
            let always = primaries.everywhere(declared);
            for name in ordered.iter().filter(|name| always(name)) {
                let expected = format!("fallbacks only; {name} is a primary");
                problems.push(order.problem().expected(expected));
            }
        }
        let needed = Needed::parse(declared, problems);
        Self { primaries, ordered, needed }
    }

    /// Whether the primaries are the default because the author named none.
    pub(super) fn primary_is_default(&self) -> bool {
        matches!(self.primaries, Primaries::Default(_))
    }

    /// Whether a set fails over: the one that a split has, and every rule that has a primary.
    pub(super) fn concerns(&self, set: &DeclaredSet) -> bool {
        set.name.is_empty() || !self.primaries(set).is_empty()
    }

    /// Indices of a set's preferred backends, ascending.
    pub(super) fn primaries(&self, set: &DeclaredSet) -> Vec<BackendIndex> {
        self.primaries.of(set, &set.by_name())
    }

    /// The same, by the names of the set.
    pub(super) fn primaries_among(
        &self,
        set: &DeclaredSet,
        by_name: &ByName<'_>,
    ) -> Vec<BackendIndex> {
        self.primaries.of(set, by_name)
    }

    /// Indices of a set's backends, the preferred tier first; each backend is in exactly one tier,
    /// no tier is empty.
    pub(super) fn tiers(
        &self,
        set: &DeclaredSet,
        by_name: &ByName<'_>,
        primaries: Vec<BackendIndex>,
    ) -> Vec<Vec<BackendIndex>> {
        let mut taken = vec![false; set.backends.len()];
        let mut take = |i: &BackendIndex| {
            i.of_mut(&mut taken).is_some_and(|taken| !std::mem::replace(taken, true))
        };
        let mut tiers = vec![primaries.into_iter().filter(&mut take).collect()];
        for name in &self.ordered {
            tiers.push(by_name.get(name).into_iter().filter(&mut take).collect());
        }
        tiers.push(BackendIndex::all(set.backends.len()).filter(take).collect());
        tiers.retain(|tier: &Vec<BackendIndex>| !tier.is_empty());
        tiers
    }

    /// What a backend needs. `2` or `50%` is meant for the primaries; fallbacks need 1 unless named.
    pub(super) fn needed(&self, backend: &DeclaredBackend, is_primary: bool) -> Threshold {
        match self.needed.of(backend) {
            Some(threshold) => threshold,
            None if is_primary => self.needed.primaries,
            None => Threshold::default(),
        }
    }
}

/// The default primary of each set that has one.
fn default_primaries(declared: &Declaration) -> BySet<String> {
    let defaulted = DefaultPrimaries::new(declared);
    let own = |set: &DeclaredSet| match defaulted.primary(set) {
        DefaultPrimary::Is(primary) => Some((set.name.clone(), primary)),
        DefaultPrimary::Ambiguous | DefaultPrimary::Alone => None,
    };
    declared.sets.iter().filter_map(own).collect()
}

impl Primaries {
    /// The places of those of a set, ascending.
    fn of(&self, set: &DeclaredSet, by_name: &ByName<'_>) -> Vec<BackendIndex> {
        let mut places: Vec<BackendIndex> = match self {
            Self::Named(named) => named.iter().flat_map(|name| by_name.get(name)).collect(),
            Self::Default(own) => own.get(&set.name).map_or(vec![], |primary| by_name.get(primary)),
        };
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Whether a backend is a primary wherever it stands.
    fn everywhere<'a>(&self, declared: &'a Declaration) -> impl Fn(&str) -> bool + use<'a> {
        let sets: Vec<_> = declared
            .sets
            .iter()
            .map(|set| {
                let by_name = set.by_name();
                let primaries: BTreeSet<_> = self.of(set, &by_name).into_iter().collect();
                (by_name, primaries)
            })
            .collect();
        move |name| {
            let places = |(by_name, primaries): &(ByName<'_>, BTreeSet<BackendIndex>)| {
                let places = by_name.get(name);
                (!places.is_empty()).then(|| places.iter().all(|i| primaries.contains(i)))
            };
            let mut known = sets.iter().filter_map(places).peekable();
            known.peek().is_some() && known.all(|is_primary| is_primary)
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
        let (names, before) = (Names::of(declared), problems.len());
        for entry in text.split(',') {
            let read = entry.split_once('=').and_then(|(name, threshold)| {
                Some((name.trim(), Threshold::parse(threshold.trim())?))
            });
            let Some((name, threshold)) = read else {
                problems.push(annotation.problem().expected(EXPECTED));
                return needed;
            };
            if needed.named.contains_key(name) {
                let expected = format!("each backend once; {name} is named twice");
                problems.push(annotation.problem().expected(expected));
            } else if names.check(name, text, &annotation, problems) {
                needed.named.insert(name.to_owned(), threshold);
            }
            if problems.len() - before >= MOST_PROBLEMS {
                break;
            }
        }
        needed
    }

    fn of(&self, backend: &DeclaredBackend) -> Option<Threshold> {
        if self.named.is_empty() {
            return None;
        }
        let named = |name: &str| self.named.get(name).copied();
        let port = || named(&format!("{}:{}", service_of(&backend.name), backend.port?));
        named(&backend.name)
            .or_else(port)
            .or_else(|| backend.port.and_then(|_| named(service_of(&backend.name))))
    }
}

pub(super) const EXPECTED: &str =
    "a count such as 2, a percentage from 1% to 100%, or one per backend: name=2,other=50%";

impl Declaration {
    /// The sets that fail over: of a route, a rule without a primary is left alone.
    pub fn failing_over(&self) -> impl Iterator<Item = &DeclaredSet> {
        // What is wrong with the annotations is for the parser to say.
        let preference = Preference::parse(self, &mut vec![]);
        self.sets.iter().filter(move |set| preference.concerns(set))
    }

    /// The preferred backends of the sets that have one, by name.
    pub fn primaries(&self) -> BySet<Vec<String>> {
        let preference = Preference::parse(self, &mut vec![]);
        let of = |set: &DeclaredSet| -> Vec<String> {
            preference.primaries(set).into_iter().map(|i| set.backends[i].name.clone()).collect()
        };
        let all = self.sets.iter().map(|set| (set.name.clone(), of(set)));
        all.filter(|(_, primaries)| !primaries.is_empty()).collect()
    }
}
