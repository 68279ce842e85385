//! A fallback whose pods are all the primary's is lost together with it.

use super::rule::{Check, Rule, SetReview};
use crate::engine::Problem;
use std::collections::BTreeSet;

/// Warns of a fallback that is backed by the same pods as the primary.
pub(super) const RULE: Rule = Rule { name: "shared_pods", check: Check::Set(check) };

fn check(set: &SetReview<'_>) -> Vec<Problem> {
    let SetReview { intent, view, .. } = *set;
    // Mirrors of one cluster share its gateway's address, and nothing else.
    let endpoints = |name: &str| {
        let (index, service) = (view.index(), view.key_of(name));
        match index.service(&service).is_some_and(|facts| facts.mirrors.is_some()) {
            true => BTreeSet::new(),
            false => index.identities_of(&service),
        }
    };
    let primaries: BTreeSet<u64> = intent.primaries().flat_map(endpoints).collect();
    let fallbacks = intent.indices_of_all().filter(|i| !intent.is_primary(*i));
    fallbacks
        .filter(|i| {
            let theirs = endpoints(&intent.backends[*i].name);
            !theirs.is_empty() && theirs.is_subset(&primaries)
        })
        .map(|i| {
            Problem::warning(view.name_field(intent, i))
                .found(format!(
                    "{:?}, backed by the same pods as the primary",
                    intent.backends[i].name
                ))
                .expected("a fallback with pods of its own")
                .next("it is lost together with the primary")
        })
        .collect()
}
