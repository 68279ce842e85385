//! Defaulting: fills in what the author left out, and keeps an edit from undoing a failover.

mod adopt;
mod authored_weights;
mod default_primary;
mod mutation;
mod release;
mod retries;
mod traffic;
mod update;

pub(crate) use mutation::Mutation;

use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::view::View;

/// Defaults an object. An object that cannot be read is not changed: the validator reports it.
///
/// `mutate(mutate(x)) == mutate(x)`: the API server may call again after other webhooks.
pub(crate) fn mutate(
    old: Option<&ReviewedObject<'_>>,
    new: &ReviewedObject<'_>,
    view: &View<'_>,
) -> Mutation {
    let old = old.filter(|old| view.manages(old.object));
    let mutation = match (old, view.manages(new.object)) {
        (_, true) if new.is_being_deleted() => None,
        (None, true) => adopt::adopt(new, view),
        (Some(old), true) => update::update(old, new, view),
        (Some(old), false) => Some(release::release(old, new, view)),
        (None, false) => None,
    };
    mutation.unwrap_or_default()
}

#[cfg(test)]
#[path = "mutate_tests.rs"]
mod tests;
