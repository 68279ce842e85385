//! What the reconciler hands over as notifications: each function makes one, from what was found.

use crate::engine::{BySet, Intent};
use crate::events::Regarding;
use crate::index::managed_object::ManagedSet;
use crate::notifications::{
    HoldCause, IdTime, Notification, NotificationData, Position, SetData, Transition,
};
use crate::reconciler::context::Subject;
use crate::reconciler::flip::{Flip, SetMove};
use crate::reconciler::hold::Hold;
use crate::telemetry::NotificationType;
use jiff::Timestamp;

/// Where the traffic of each set is, as its state records it.
pub(crate) fn positions<'a>(subject: &Subject<'a>) -> Vec<Position<'a>> {
    subject.managed.readable().iter().filter_map(position).collect()
}

fn position(set: &ManagedSet) -> Option<Position<'_>> {
    let (intent, state) = (&set.intent, set.state.as_ref()?);
    Some(Position {
        set: &intent.set,
        apexes: &intent.apexes,
        active: &state.active,
        since: state.since,
        on_primary: !state.is_away_from(intent.primaries()),
        pinned: state.pinned,
        nothing_ready: state.nothing_ready,
    })
}

/// The moves of a flip.
pub(crate) fn moves(flip: &Flip) -> Vec<SetData> {
    let set = |one: &SetMove| SetData {
        rule: one.set.clone(),
        apexes: vec![one.traffic.apex.clone()],
        from: one.traffic.from.clone(),
        to: one.traffic.to.clone(),
        pinned: false,
    };
    flip.moves().iter().map(set).collect()
}

/// A transition; `why` is the health of the sets that have nothing ready.
pub(crate) fn transition(subject: &Subject<'_>, transition: Transition, why: &str) -> Notification {
    let Transition { what, at, sets, made } = transition;
    let held = what == NotificationType::Held;
    let message = match made {
        _ if held && why.is_empty() => {
            "No backend is ready, so traffic stays where it is".to_owned()
        }
        _ if held => format!("No backend is ready, so traffic stays where it is: {why}"),
        Some(made) => made,
        None => found(&sets, at),
    };
    let cause = held.then_some(HoldCause::NothingReady);
    let data = NotificationData { message, cause, sets, ..NotificationData::default() };
    Notification { what, about: about(subject), at, id_time: IdTime::Exact, data }
}

/// The sentence about a move that another replica has made.
fn found(sets: &[SetData], at: Timestamp) -> String {
    let one = |set: &SetData| {
        let (apexes, to) = (set.apexes.join(", "), set.to.join(", "));
        match set.rule.as_str() {
            "" => format!("Traffic of {apexes} is on {to} since {at}"),
            rule => format!("Rule {rule}: traffic of {apexes} is on {to} since {at}"),
        }
    };
    sets.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// A move that is not made because a person decided so, or has to agree; since when that has been seen here.
pub(crate) fn on_hold(
    subject: &Subject<'_>,
    flip: &Flip,
    hold: &Hold,
    seen: Timestamp,
) -> Notification {
    let (cause, recorded) = match hold {
        Hold::Paused(_) => (HoldCause::Paused, None),
        Hold::Frozen(_) => (HoldCause::Frozen, None),
        Hold::Braked { since, .. } => (HoldCause::Brake, *since),
    };
    let data = NotificationData {
        message: format!("{}. Nothing is written: {hold}", flip.due()),
        cause: Some(cause),
        sets: moves(flip),
        ..NotificationData::default()
    };
    let (at, id_time) = match recorded {
        Some(since) => (since, IdTime::Exact),
        None => (seen, IdTime::Rounded),
    };
    Notification { what: NotificationType::Held, about: about(subject), at, id_time, data }
}

/// Traffic is on the primaries of these sets, and since then none of their fallbacks has been ready; why of
/// each.
pub(crate) fn without_fallback(
    subject: &Subject<'_>,
    since: Timestamp,
    sets: &[String],
    why: &BySet<String>,
) -> Notification {
    let intents = || subject.managed.readable().iter().map(|set| &set.intent);
    let concerned: Vec<&Intent> = intents().filter(|intent| sets.contains(&intent.set)).collect();
    let set = |intent: &&Intent| SetData {
        rule: intent.set.clone(),
        apexes: intent.apexes.clone(),
        from: vec![],
        to: intent.carrying().iter().map(|i| intent.backends[*i].name.clone()).collect(),
        pinned: false,
    };
    let each = concerned.iter().map(|intent| {
        let why = why.get(&intent.set).map_or("", String::as_str);
        match intent.set.as_str() {
            "" => why.to_owned(),
            rule => format!("rule {rule}: {why}"),
        }
    });
    let each = each.collect::<Vec<_>>().join("; ");
    let data = NotificationData {
        message: format!(
            "No fallback is ready, so a loss of the primary would move nothing: {each}"
        ),
        sets: concerned.iter().map(set).collect(),
        ..NotificationData::default()
    };
    let (what, id_time) = (NotificationType::NoFallback, IdTime::Rounded);
    Notification { what, about: about(subject), at: since, id_time, data }
}

/// Whether it is reported that another writer has replaced the weights so often: a fight has no end by
/// itself, and each report stands for twice as long as the one before.
pub(crate) fn is_reported(overwritten: u32) -> bool {
    overwritten >= 2 && overwritten.is_power_of_two()
}

/// Another writer keeps replacing the weights. The time is this replica's alone, and exact: another one counts
/// what is undone of its own writes.
pub(crate) fn overwritten(subject: &Subject<'_>, by: &str, times: u32) -> Notification {
    let data = NotificationData {
        message: format!(
            "The weights written here were undone {times} times, last by field manager {by}"
        ),
        by: Some(by.to_owned()),
        times: Some(times),
        ..NotificationData::default()
    };
    let (what, at, id_time) = (NotificationType::OtherWriter, subject.now.wall, IdTime::Exact);
    Notification { what, about: about(subject), at, id_time, data }
}

fn about(subject: &Subject<'_>) -> Regarding {
    let (object, managed) = (subject.object, subject.managed);
    let kind = object.kind.api_resource(subject.version());
    Regarding::named(object.key.clone(), kind).at(&managed.uid, &managed.resource_version)
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
