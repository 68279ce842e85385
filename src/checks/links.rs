//! Linked clusters.

use crate::checks::facts::Facts;
use crate::checks::outcome::Outcome;
use crate::engine::{Health, Unknown};
use std::collections::BTreeSet;

/// Every reason for which a backend of an object cannot be seen, once.
pub(super) fn seen(facts: &Facts) -> Outcome {
    facts.by_snapshot(|_, rows| {
        let sets = rows.iter().flat_map(|row| row.sets.iter().flatten());
        let healths = sets.flat_map(|set| &set.backends).map(|backend| backend.health.undeclared());
        let unseen: BTreeSet<String> = healths.filter_map(of_cluster).collect();
        Outcome::errors(unseen)
    })
}

fn of_cluster(health: &Health) -> Option<String> {
    match health {
        Health::Unreachable { cluster, since } => Some(format!(
            "found no answer of cluster {cluster} since {since}, expected its API server"
        )),
        Health::Unknown(
            why @ (Unknown::NotLinked { .. }
            | Unknown::Refused { .. }
            | Unknown::Unverified { .. }
            | Unknown::Failing { .. }
            | Unknown::Unreachable { .. }
            | Unknown::NotListed { .. }),
        ) => Some(format!("found {why}")),
        _ => None,
    }
}
