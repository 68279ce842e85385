//! A fallback whose pods are all the primary's is lost together with it.

use super::rule::{Check, Rule, SetReview};
use crate::engine::Problem;
use std::collections::BTreeSet;

/// Warns of a fallback that is backed by the same pods as the primary.
pub(super) const RULE: Rule = Rule { name: "shared_pods", check: Check::Set(check) };

fn check(set: &SetReview<'_>) -> Vec<Problem> {
    let SetReview { intent, view, .. } = *set;
    let mirrors = |name: &str| {
        view.index().service(&view.key_of(name)).is_some_and(|service| service.mirrors.is_some())
    };
    // Mirrors of one cluster share its gateway's address, and nothing else.
    let endpoints = |name: &str| match mirrors(name) {
        true => BTreeSet::new(),
        false => view.index().identities_of(&view.key_of(name)),
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
