//! From facts to a plan: what an object needs by the newest facts.

use crate::engine::{
    BySet, DecisionReason, Health, Identity, PendingDelays, Readiness, SetState, WriteNeed,
    each_health, left_for_person,
};
use crate::kinds::{ObjectKey, ObjectRef};
use crate::reconciler::context::Subject;
use crate::reconciler::down_conditions::{self, DownConditions};
use crate::reconciler::gates::brake::TrafficPosition;
use crate::reconciler::memory::Memory;
use crate::reconciler::no_fallback;
use crate::reconciler::patch;
use crate::reconciler::set_decision::SetDecision;
use crate::reconciler::short_ports::{self, ShortPort};
use crate::reconciler::write::{ActiveBackends, Write};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// What an object needs now, by the newest facts.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The write that it takes; none where nothing is needed.
    pub write: Option<Write>,
    /// Every move in it is a [rescue](crate::engine::Decision::rescue).
    pub rescue: bool,
    /// Where the sets that it moves go.
    pub active: ActiveBackends,
    /// Where every set should be.
    pub wanted: ActiveBackends,
    /// The Services whose health this decision rests on.
    pub rests_on: Vec<ObjectKey>,
    /// The delays that run, as they are observed here, by set.
    pub pending: BySet<PendingDelays>,
    /// The backends of each set that are left early.
    pub left_early: ActiveBackends,
    /// The ports that backends do not serve, as far as that is to be reported.
    pub short_ports: BTreeSet<ShortPort>,
    /// What is to be reported of backends that are declared down.
    pub down: DownConditions,
    /// Whether anything of each set is ready, and the health of each of its backends.
    pub readiness: BySet<(Readiness, String)>,
    /// The sets on their primaries of which no fallback is ready, and the health of those.
    pub without_fallback: BySet<String>,
    /// When to look again even if nothing changes.
    pub next: Option<SignedDuration>,
    pub paused: bool,
    /// What the brake counts, where no set of it wants to leave its primary.
    pub position: TrafficPosition,
}

/// Which moves of an object's sets a plan may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moves {
    All,
    /// None that leaves a lost primary, unless a person has declared that down.
    NoFailover,
}

/// The plan for an object; none where it cannot be read, or its kind is not served.
///
/// Of several sets those that are to be rescued go first, and alone: any replica may make that move.
/// What else there is follows with the next plan.
pub(crate) fn plan(
    subject: &Subject<'_>,
    memory: Option<&Memory>,
    me: &Identity,
    moves: Moves,
) -> Option<Plan> {
    let mut decided = decide(subject, memory)?;
    let short = |d: &SetDecision<'_>| short_ports::of_set(&d.set.intent, &d.health, &d.decision);
    let short_ports = decided.iter().flat_map(short).collect();
    let down = |d: &SetDecision<'_>| down_conditions::of_set(&d.set.intent, &d.health, &d.decision);
    let down = decided.iter().flat_map(down).collect();
    let without_fallback = without_fallback(&decided);
    let wanted = decided.iter().map(|d| d.named(d.active())).collect();
    let position = position(&decided);
    let paused = is_paused(&decided);
    let recorded = subject.managed.nothing_ready();
    let reported = memory.and_then(|memory| memory.nothing_ready.reported()).unwrap_or(&recorded);
    let readiness = readiness(&decided, reported);
    retain_one_write(&mut decided, moves);

    // What is reported is recorded, once all sets may be written together.
    let to_record = moves == Moves::All && *reported != recorded && !decided.is_empty();
    let needs = decided.iter().map(|d| d.need).chain(to_record.then_some(WriteNeed::Record));
    let write = match needs.max().unwrap_or(WriteNeed::Nothing) {
        WriteNeed::Nothing => patch::disclaim(subject),
        need => Some(patch::write(subject, me, &decided, need, reported)),
    };
    let moving = || decided.iter().filter(|d| d.moves);
    Some(Plan {
        write,
        rescue: moving().next().is_some() && moving().all(|d| d.decision.rescue),
        active: moving().map(|d| d.named(d.active())).collect(),
        wanted,
        rests_on: rests_on(subject.object, moving()),
        short_ports,
        down,
        next: decided.iter().filter_map(|d| d.decision.next).min(),
        paused,
        position,
        pending: decided.iter().map(|d| d.named(d.decision.pending.clone())).collect(),
        left_early: decided
            .iter()
            .map(|d| d.named(d.decision.names_left_early(&d.set.intent)))
            .collect(),
        readiness,
        without_fallback,
    })
}

fn without_fallback(decided: &[SetDecision<'_>]) -> BySet<String> {
    let of_set = |d: &SetDecision<'_>| {
        Some(d.named(no_fallback::of_set(&d.set.intent, &d.health, &d.decision)?))
    };
    decided.iter().filter_map(of_set).collect()
}

/// Whether traffic of an object is to move now.
pub(crate) fn is_flip_due(subject: &Subject<'_>, memory: Option<&Memory>) -> bool {
    let decided = decide(subject, memory).unwrap_or_default();
    decided.iter().any(|d| d.moves) && !is_paused(&decided)
}

/// The sets of an object as they are decided now; none where it cannot be read, or its kind is not
/// served.
pub(crate) fn decide<'a>(
    subject: &Subject<'a>,
    memory: Option<&Memory>,
) -> Option<Vec<SetDecision<'a>>> {
    let is_served = subject.index.served(subject.object.kind).is_some();
    let sets = subject.managed.sets.as_ref().ok().filter(|_| is_served);
    sets.map(|sets| sets.iter().map(|set| SetDecision::new(subject, set, memory)).collect())
}

fn is_paused(decided: &[SetDecision<'_>]) -> bool {
    decided.iter().any(|d| d.paused)
}

/// The Services by which these sets are decided, each once.
fn rests_on<'a>(
    object: &ObjectRef,
    decided: impl Iterator<Item = &'a SetDecision<'a>>,
) -> Vec<ObjectKey> {
    let services = decided.flat_map(SetDecision::rests_on).map(|service| object.beside(service));
    services.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Retains those that one write may have together.
fn retain_one_write(decided: &mut Vec<SetDecision<'_>>, moves: Moves) {
    if moves == Moves::NoFailover {
        decided.retain(|d| !d.leaves_primary() || d.is_by_person());
    }
    if decided.iter().any(|d| d.moves && d.decision.rescue) {
        decided.retain(|d| !d.moves || d.decision.rescue);
    }
}

/// The readiness of the sets that have nothing ready, and of those that were reported to have nothing.
fn readiness(
    decided: &[SetDecision<'_>],
    reported: &BySet<Timestamp>,
) -> BySet<(Readiness, String)> {
    let of_set = |d: &SetDecision<'_>| {
        let readiness = Readiness::of(&d.health);
        let concerns = readiness == Readiness::Nothing || reported.contains_key(&d.set.intent.set);
        concerns.then(|| d.named((readiness, each_health(&d.set.intent, &d.health))))
    };
    decided.iter().filter_map(of_set).collect()
}

/// Where the traffic of an object is, by its live weights, and whether its primaries are back.
fn position(decided: &[SetDecision<'_>]) -> TrafficPosition {
    // What a person moves by hand is no loss.
    if is_paused(decided) {
        return TrafficPosition::Withdrawn;
    }
    let is_away = |d: &&SetDecision<'_>| {
        let (intent, carrying) = (&d.set.intent, d.set.intent.carrying());
        let by_a_person = |state: &SetState| state.pinned || left_for_person(&state.down, intent);
        let by_a_person = d.set.state.as_ref().is_some_and(by_a_person);
        !carrying.is_empty() && !by_a_person && !carrying.iter().any(|i| intent.is_primary(*i))
    };
    let is_back = |d: &SetDecision<'_>| match d.decision.reason {
        // It has nowhere to go, and nowhere to come back from.
        _ if d.set.intent.is_alone() || d.is_by_person() => true,
        DecisionReason::Pinned => true,
        DecisionReason::PrimaryServes => {
            !d.decision.active.iter().any(|i| i.of(&d.health).is_some_and(Health::is_unknown))
        }
        _ => false,
    };
    let by_a_person =
        |d: &SetDecision<'_>| d.decision.reason == DecisionReason::Pinned || d.is_by_person();
    let away: Vec<_> = decided.iter().filter(is_away).collect();
    if !away.is_empty() {
        let left = |d: &&SetDecision<'_>| d.set.state.as_ref().and_then(|state| state.left);
        TrafficPosition::Left(away.iter().filter_map(left).max())
    } else if !decided.iter().all(is_back) {
        TrafficPosition::Undecided
    } else if decided.iter().any(by_a_person) {
        TrafficPosition::Withdrawn
    } else {
        TrafficPosition::Recovered
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "plan_faults_tests.rs"]
mod faults_tests;
