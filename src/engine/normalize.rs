//! A stored declaration, normalized: the fault of one backend concerns that backend alone.

use crate::engine::names::AuthoredText;
use crate::engine::proportions::{self, Nanos};
use crate::engine::tiers::Preference;
use crate::engine::{
    AuthoredWeights, BySet, Declaration, DeclaredBackend, DeclaredSet, ParsedWeight, WeightLimits,
};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

impl Declaration {
    /// The declaration with each backend once and with whole weights, in the sets that fail over.
    ///
    /// A backend with two entries has the weight of both. Fractions, and what is too large, become
    /// whole numbers in the same proportions. What is no number counts as 1 on a primary, and as 0
    /// on a fallback.
    pub fn normalized(&self) -> Cow<'_, Self> {
        if self.sets.iter().all(|set| is_whole(set, self.shape.limits)) {
            return Cow::Borrowed(self);
        }
        let preference = Preference::parse(self, &mut vec![]);
        let mut normalized = self.clone();
        for set in normalized.sets.iter_mut().filter(|set| preference.concerns(set)) {
            if !is_whole(set, self.shape.limits) {
                normalize(set, &preference, self.shape.limits);
            }
        }
        Cow::Owned(normalized)
    }
}

impl Declaration {
    /// Of a normalized declaration, the weights that are written otherwise than they are read, or were when
    /// they were recorded: they are restored as written. `before` is the present record: its text of a
    /// weight is kept until the author writes another, since the live weights may be ours.
    pub fn as_written(&self, before: Option<&AuthoredWeights>) -> BySet<AuthoredText> {
        let mut all = BySet::new();
        for set in self.sets.iter().filter(|set| !set.is_alone()) {
            let number = |record: Option<&AuthoredWeights>, name: &str| {
                record?.sets.get(&set.name)?.get(name).copied()
            };
            let recorded = before.and_then(|before| before.written.get(&set.name));
            let mut written = AuthoredText::new();
            for DeclaredBackend { name, .. } in &set.backends {
                let is_edited = number(before, name) != number(self.record(), name);
                let recorded = recorded.and_then(|recorded| recorded.get(name));
                let live = set.written.get(name);
                let found = if is_edited { live.or(recorded) } else { recorded.or(live) };
                written.extend(found.map(|found| (name.clone(), found.clone())));
            }
            if !written.is_empty() {
                all.insert(set.name.clone(), written);
            }
        }
        all
    }

    /// The declaration as its author wrote it, where it has our weights now.
    pub fn as_authored(&self) -> Self {
        let mut authored = self.clone();
        let Some(record) = self.record() else { return authored };
        for set in &mut authored.sets {
            let Some(written) = record.written.get(&set.name) else { continue };
            let mut of_name: HashMap<String, usize> = HashMap::new();
            for backend in &mut set.backends {
                let entry = of_name.entry(backend.name.clone()).or_default();
                let found = written.get(&backend.name).and_then(|weights| weights.get(*entry));
                *entry += 1;
                if let Some(found) = found {
                    let most = self.shape.limits.weight;
                    backend.weight = ParsedWeight::parse(Some(found), 0, most);
                }
            }
        }
        authored
    }
}

/// Whether a set needs no normalization.
fn is_whole(set: &DeclaredSet, limits: WeightLimits) -> bool {
    let mut names = HashSet::with_capacity(set.backends.len());
    let mut sum = 0;
    for backend in &set.backends {
        let Some(weight) = backend.weight.whole() else { return false };
        sum += u64::from(weight);
        if !names.insert(backend.name.as_str()) {
            return false;
        }
    }
    sum <= u64::from(limits.sum)
}

/// All entries of a list for one backend, as one.
struct Merged<'a> {
    first: &'a DeclaredBackend,
    /// Their sum; none where none of them is a number.
    weight: Option<Nanos>,
    written: Vec<&'a ParsedWeight>,
}

impl<'a> Merged<'a> {
    fn new(first: &'a DeclaredBackend) -> Self {
        Self { first, weight: first.weight.nanos(), written: vec![&first.weight] }
    }

    fn add(&mut self, weight: &'a ParsedWeight) {
        self.weight = match (self.weight, weight.nanos()) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        self.written.push(weight);
    }

    /// As the author wrote it, where that is not one whole number that is also the `scaled` weight.
    fn as_written(&self, scaled: u32) -> Option<(String, Vec<Value>)> {
        let is_as_scaled = matches!(*self.written, [only] if only.whole() == Some(scaled));
        let written = || self.written.iter().map(|weight| weight.as_written()).collect();
        (!is_as_scaled).then(|| (self.first.name.clone(), written()))
    }
}

/// Each backend once, in the author's order, and the entries that repeat an earlier one.
fn merge(backends: &[DeclaredBackend]) -> (Vec<Merged<'_>>, Vec<usize>) {
    let mut merged: Vec<Merged<'_>> = vec![];
    let mut repeated = vec![];
    let mut places: HashMap<&str, usize> = HashMap::new();
    for backend in backends {
        match places.entry(&backend.name) {
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push(Merged::new(backend));
            }
            Entry::Occupied(place) => {
                merged[*place.get()].add(&backend.weight);
                repeated.push(backend.entry);
            }
        }
    }
    (merged, repeated)
}

fn normalize(set: &mut DeclaredSet, preference: &Preference, limits: WeightLimits) {
    let primaries = preference.primaries(set).into_iter();
    let primaries: HashSet<&str> = primaries.map(|i| set.backends[i].name.as_str()).collect();
    let (merged, repeated) = merge(&set.backends);
    let weight = |of: &Merged<'_>| {
        let is_primary = primaries.contains(of.first.name.as_str());
        of.weight.unwrap_or_else(|| proportions::of_whole(is_primary.into()))
    };
    let weights: Vec<Nanos> = merged.iter().map(weight).collect();
    let scaled = proportions::scaled(&weights, limits);
    let each = || merged.iter().zip(&scaled);
    let written = each().filter_map(|(of, weight)| of.as_written(*weight)).collect();
    let backend = |(of, weight): (&Merged<'_>, &u32)| DeclaredBackend {
        weight: ParsedWeight::Whole(*weight),
        ..of.first.clone()
    };
    let backends = each().map(backend).collect();
    (set.backends, set.repeated, set.written) = (backends, repeated, written);
}

#[cfg(test)]
#[path = "normalize_tests.rs"]
mod tests;
