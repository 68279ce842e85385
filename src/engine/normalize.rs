//! A declaration as it is read where it is stored already: the fault of one backend is that
//! backend's alone.

use crate::engine::names::AuthoredText;
use crate::engine::proportions::{self, Nanos};
use crate::engine::tiers::Preference;
use crate::engine::{BySet, Declaration, DeclaredBackend, DeclaredSet, ParsedWeight, WeightLimits};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

impl Declaration {
    /// This, with each backend once and with whole weights, in the sets that fail over.
    ///
    /// A backend that stands twice has the weight of both. Fractions, and what is too large, become
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
    /// Of a normalized one: the weights that are written otherwise than as they are read, or were when
    /// they were recorded, for the day they are given back.
    pub fn as_written(&self, recorded: &BySet<AuthoredText>) -> BySet<AuthoredText> {
        let mut all = BySet::new();
        for set in self.sets.iter().filter(|set| !set.is_alone()) {
            let recorded = recorded.get(&set.name);
            let mut written = AuthoredText::new();
            for DeclaredBackend { name, .. } in &set.backends {
                let found = set.written.get(name).or_else(|| recorded?.get(name));
                written.extend(found.map(|found| (name.clone(), found.clone())));
            }
            if !written.is_empty() {
                all.insert(set.name.clone(), written);
            }
        }
        all
    }

    /// This as its author wrote it, where weights of ours stand in it now.
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

/// Whether a set can be read as it stands.
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

fn normalize(set: &mut DeclaredSet, preference: &Preference, limits: WeightLimits) {
    let mut weights: Vec<Option<Nanos>> = vec![];
    let mut written: Vec<Vec<&ParsedWeight>> = vec![];
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut kept = vec![];
    for (i, backend) in set.backends.iter().enumerate() {
        let weight = backend.weight.nanos();
        match places.get(backend.name.as_str()) {
            None => {
                places.insert(&backend.name, kept.len());
                kept.push(i);
                weights.push(weight);
                written.push(vec![&backend.weight]);
            }
            Some(first) => {
                let before = weights[*first];
                weights[*first] = match (before, weight) {
                    (Some(one), Some(other)) => Some(one.saturating_add(other)),
                    (one, other) => one.or(other),
                };
                written[*first].push(&backend.weight);
            }
        }
    }
    let repeated: Vec<usize> = {
        let kept: HashSet<usize> = kept.iter().copied().collect();
        let entries = set.backends.iter().enumerate().filter(|(i, _)| !kept.contains(i));
        entries.map(|(_, backend)| backend.entry).collect()
    };
    let mut backends: Vec<DeclaredBackend> =
        kept.into_iter().map(|i| set.backends[i].clone()).collect();
    let primaries: HashSet<&str> =
        preference.primaries(set).into_iter().map(|i| set.backends[i].name.as_str()).collect();
    let on_no_number = |backend: &DeclaredBackend| {
        proportions::of_whole(primaries.contains(backend.name.as_str()).into())
    };
    let weights: Vec<Nanos> = backends
        .iter()
        .zip(weights)
        .map(|(backend, weight)| weight.unwrap_or_else(|| on_no_number(backend)))
        .collect();
    let weights = proportions::scaled(&weights, limits);
    let as_written = backends.iter().zip(&written).zip(&weights);
    let written: AuthoredText = as_written
        .filter(|((_, written), weight)| written.len() > 1 || written[0].whole() != Some(**weight))
        .map(|((backend, written), _)| {
            let written = written.iter().map(|weight| weight.as_written());
            (backend.name.clone(), written.collect())
        })
        .collect();
    for (backend, weight) in backends.iter_mut().zip(weights) {
        backend.weight = ParsedWeight::Whole(weight);
    }
    (set.backends, set.repeated, set.written) = (backends, repeated, written);
}

#[cfg(test)]
#[path = "normalize_tests.rs"]
mod tests;
