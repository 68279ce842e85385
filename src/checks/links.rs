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
        let unseen: BTreeSet<Unseen> =
            healths.filter_map(|health| of_cluster(facts, health)).collect();
        let (faults, from_here): (Vec<_>, Vec<_>) =
            unseen.into_iter().partition(|unseen| matches!(unseen, Unseen::Fault(_)));
        let text = |unseen: Unseen| match unseen {
            Unseen::Fault(why) | Unseen::FromHere(why) => why,
        };
        Outcome::graded(faults.into_iter().map(text), from_here.into_iter().map(text))
    })
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Unseen {
    Fault(String),
    /// From here; the replicas may be nearer to it.
    FromHere(String),
}

fn of_cluster(facts: &Facts, health: &Health) -> Option<Unseen> {
    match health {
        Health::Unreachable { cluster, .. }
        | Health::Unknown(Unknown::Unreachable { cluster, .. } | Unknown::NotListed { cluster }) => {
            out_of_reach(facts, cluster)
        }
        Health::Unknown(
            why @ (Unknown::NotLinked { .. }
            | Unknown::Refused { .. }
            | Unknown::Unverified { .. }
            | Unknown::Failing { .. }),
        ) => Some(Unseen::Fault(format!("found {why}"))),
        _ => None,
    }
}

/// None where the replicas reach it: that it does not answer from here is a gap.
fn out_of_reach(facts: &Facts, cluster: &str) -> Option<Unseen> {
    match facts.is_reached(cluster) {
        Some(true) => None,
        Some(false) => Some(Unseen::Fault(format!(
            "found that cluster {cluster} answers no replica, expected its API server"
        ))),
        None => Some(Unseen::FromHere(format!(
            "found no answer of cluster {cluster} from here, expected its API server; whether it answers the replicas is not known: see linkerd_failover_remote_reachable in their metrics"
        ))),
    }
}
