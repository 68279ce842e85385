//! ReferenceGrants: leave to name a Service of another namespace.

use crate::admission::view::View;
use crate::engine::{Intent, Problem, service_of};
use crate::index::grants::GrantFacts;

/// Backends in another namespace that no ReferenceGrant there allows. Linkerd does not enforce it;
/// others do, and it may.
pub(crate) fn missing(intent: &Intent, view: &View<'_>) -> Vec<Problem> {
    let knows = view.index().synced.grants;
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
