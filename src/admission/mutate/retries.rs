//! Linkerd's retries on a route whose protection is seamless: added, kept, and taken back.
//!
//! The result follows from what the author has set and from the facts alone, never from how the object came to
//! be as it is. So a manifest that is applied again, in whichever way, changes nothing.

use crate::admission::author::retries_of;
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::view::View;
use crate::engine::{Intent, Policy, annotations};
use crate::kinds::retries::{self, IDEMPOTENCE, NotAdded, Retry, RouteRetries, WantedRetries};

/// What becomes of the retries of a route.
#[derive(Debug, Default, PartialEq)]
pub(super) struct RetryChange {
    /// `None` removes.
    pub annotations: Vec<(&'static str, Option<String>)>,
    pub note: Option<String>,
}

/// The retries of an object that can be read, after its review; `old` is the object before, managed or not. Nothing
/// is noted of those that it has, which a replaced object has lost.
pub(super) fn retries_after(
    old: Option<&ReviewedObject<'_>>,
    new: &ReviewedObject<'_>,
    intents: &[Intent],
    view: &View<'_>,
) -> RetryChange {
    let Some(Intent { policy, .. }) = intents.first() else { return RetryChange::default() };
    let (ours, present) = (view.kind.retries(), retries_of(view.kind, old, new));
    let protection = policy.protection.protection();
    let parents = || view.parent_retries(&new.declared);
    let (wanted, note) = match retries::wanted(ours, protection, present.authored, parents) {
        WantedRetries::AsTheyAre => (present.added.clone(), None),
        WantedRetries::Added(all) => {
            (all.to_vec(), added_note(&missing(all, &present, old, view), policy))
        }
        WantedRetries::None(why) => (vec![], taken_back_note(&present, &why)),
    };
    RetryChange { annotations: changes(ours, &present, &wanted), note }
}

/// The annotations that go with the label.
pub(super) fn released(
    old: &ReviewedObject<'_>,
    new: &ReviewedObject<'_>,
    view: &View<'_>,
) -> Vec<&'static str> {
    let added = retries_of(view.kind, Some(old), new).added.into_iter().map(|(name, _)| name);
    added.chain([annotations::ADDED]).collect()
}

fn changes(
    ours: &[Retry],
    present: &RouteRetries,
    wanted: &[Retry],
) -> Vec<(&'static str, Option<String>)> {
    let each = ours.iter().filter_map(|retry| {
        let (name, value) = *retry;
        match wanted.contains(retry) {
            true => Some((name, Some(value.to_owned()))),
            // What is not ours stays.
            false => present.added.contains(retry).then_some((name, None)),
        }
    });
    each.chain([(annotations::ADDED, retries::record(wanted))]).collect()
}

/// Those that neither the request nor the object before it has.
fn missing(
    all: &[Retry],
    present: &RouteRetries,
    old: Option<&ReviewedObject<'_>>,
    view: &View<'_>,
) -> Vec<Retry> {
    let before = old.map(|old| retries_of(view.kind, None, old).added).unwrap_or_default();
    let is_new = |retry: &&Retry| !present.added.contains(retry) && !before.contains(retry);
    all.iter().filter(is_new).copied().collect()
}

fn added_note(added: &[Retry], policy: &Policy) -> Option<String> {
    let by = policy.protection.set_by().describe();
    (!added.is_empty())
        .then(|| format!("protection is seamless by {by}: {} added; {IDEMPOTENCE}", were(added)))
}

fn taken_back_note(present: &RouteRetries, why: &NotAdded) -> Option<String> {
    let taken = &present.added;
    (!taken.is_empty()).then(|| format!("{} taken back: {why}", were(taken)))
}

/// `… was`, or `… were`.
fn were(retries: &[Retry]) -> String {
    let verb = if retries.len() == 1 { "was" } else { "were" };
    format!("{} {verb}", retries::describe(retries))
}
