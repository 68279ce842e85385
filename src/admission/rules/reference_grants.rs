//! ReferenceGrants permit a route to name a Service of another namespace.

use super::rule::{Check, Rule, SetReview};
use crate::engine::{Problem, service_of};
use crate::index::grants::GrantFacts;
use crate::index::resource::WatchedResource;

/// Warns of a backend in another namespace that no ReferenceGrant there allows. Linkerd does not
/// enforce it; others do, and it may.
pub(super) const RULE: Rule = Rule { name: "reference_grants", check: Check::Set(check) };

fn check(set: &SetReview<'_>) -> Vec<Problem> {
    let SetReview { intent, view, .. } = *set;
    let knows = view.index().synced.has(WatchedResource::ReferenceGrants);
    let backends = intent.backends.iter().filter(|_| knows);
    let ungranted = backends.filter_map(|backend| {
        let (namespace, name) = service_of(&backend.name).split_once('/')?;
        let may = |grant: &GrantFacts| grant.allows(view.kind.as_str(), view.namespace, name);
        let index = view.index();
        if !index.watches(namespace) || index.grants_in(namespace).any(may) {
            return None;
        }
        Some(
            Problem::warning(intent.path.index(backend.entry).field("namespace"))
                .found(format!("{namespace:?}, where no ReferenceGrant allows it"))
                .expected(format!(
                    "a ReferenceGrant in {namespace} from {} of {} to Service {name}",
                    view.kind, view.namespace
                ))
                .next("Linkerd sends there without it today; other implementations of the Gateway API refuse"),
        )
    });
    ungranted.collect()
}
