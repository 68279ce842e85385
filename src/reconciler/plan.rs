//! From facts to a plan: what an object needs, what to patch for it, and what to say once that
//! has landed.

use crate::engine::{
    AuthoredWeights, BySet, Decision, DecisionReason, Health, Identity, Intent, Need, Now,
    PendingDelays, Previous, Readiness, SetState, State, SteadyTime, annotations, decide,
    each_health, need, remembered,
};
use crate::index::managed_object::{Decider, ManagedObject, ManagedSet};
use crate::index::store::Index;
use crate::kinds::{Edit, ObjectKey, ObjectRef};
use crate::reconciler::gates::brake::TrafficPosition;
use crate::reconciler::memory::Memory;
use crate::reconciler::short_ports;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// The backends that get the traffic, by name, of each set.
pub(crate) type Active = BySet<Vec<String>>;

/// What an object needs now, by the newest facts.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The write that it takes; none where nothing is needed.
    pub write: Option<Write>,
    /// Every move in it is a [rescue](Decision::rescue).
    pub rescue: bool,
    /// Where the sets that it moves go.
    pub active: Active,
    /// Where every set should be.
    pub wants: Active,
    /// The Services whose health this decision rests on.
    pub rests_on: Vec<ObjectKey>,
    /// The delays that run, as they are observed here, by set.
    pub pending: BySet<PendingDelays>,
    /// The backends that each set leaves ahead of an announced loss.
    pub ahead: Active,
    /// What is to be said of ports that backends do not serve.
    pub short: BTreeSet<String>,
    /// Whether anything of each set is ready, and the health of each of its backends.
    pub readiness: BySet<(Readiness, String)>,
    /// When to look again even if nothing changes.
    pub next: Option<SignedDuration>,
    pub paused: bool,
    /// What the brake counts, where no set of it wants to leave its primary.
    pub stands: TrafficPosition,
    /// Who made the decision that the object carries, and since when that is seen.
    pub decider: Option<Decider>,
    pub seen: SteadyTime,
    /// Whoever but us wrote the weights last.
    pub other_writer: Option<Box<str>>,
}

/// A write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Write {
    pub object: ObjectRef,
    /// The version of its kind.
    pub version: &'static str,
    pub uid: String,
    pub resource_version: String,
    pub patch: json_patch::Patch,
    /// The weights that it writes, set after set; none where it writes no weights.
    pub weights: Vec<u32>,
    /// The object has no state of ours yet, or has lost it.
    pub is_first: bool,
    /// It records weights that somebody wrote past the webhook; who, and which.
    pub edited: Option<String>,
    pub kind: WriteKind,
}

impl Write {
    /// Whether it changes weights, rather than what is known.
    pub(crate) fn moves(&self) -> bool {
        matches!(self.kind, WriteKind::Flip(_) | WriteKind::Correction)
    }

    /// Whether traffic leaves a primary that is lost.
    pub(crate) fn leaves_primary(&self) -> bool {
        matches!(&self.kind, WriteKind::Flip(flip) if !flip.leaves.is_empty())
    }

    /// Whether another writer may have brought it about, and may do so again. A move of an object
    /// that has our state is our own.
    pub(crate) fn may_be_undone(&self) -> bool {
        self.moves() && (self.kind == WriteKind::Correction || self.is_first)
    }
}

/// What a write is for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WriteKind {
    /// Traffic moves.
    Flip(Flip),
    /// Weights that others have changed are put right.
    Correction,
    /// What is known is recorded.
    Record,
    /// Our claim on `spec` is given up, so that those who apply it meet no conflict.
    Disclaim,
}

/// Traffic that moves from some backends to others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Flip {
    pub on_primary: bool,
    /// The primaries that it leaves because they are lost, by name.
    pub leaves: Vec<String>,
    /// It comes before the loss that it is for.
    pub ahead: bool,
    /// It goes back to what was left ahead of a loss that did not come.
    pub taken_back: bool,
    pub note: String,
}

impl Flip {
    /// The note of a move that has not been made.
    pub(crate) fn should(&self) -> String {
        self.note.replace(" moved from ", " should move from ")
    }
}

/// A set, and what was decided for it.
struct Decided<'a> {
    set: &'a ManagedSet,
    health: Vec<Health>,
    decision: Decision,
    need: Need,
    flip: Option<Flip>,
}

/// Which moves of an object's sets a plan may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moves {
    All,
    /// The brake holds those that leave their primary.
    NotLeaving,
}

impl Decided<'_> {
    fn moves(&self) -> bool {
        self.flip.is_some()
    }

    /// The Services by which it was decided: those that traffic leaves and goes to, those that would
    /// come before these, and the apex where its ports are what the backends are asked for.
    fn rests_on(&self) -> impl Iterator<Item = &str> {
        let (intent, decision) = (&self.set.intent, &self.decision);
        let goes_to = |tier: &Vec<usize>| tier.iter().any(|i| decision.active.contains(i));
        let last = intent.tiers.iter().position(goes_to).unwrap_or_default();
        let preferred = intent.tiers.iter().take(last).flatten();
        let backends = decision.before.iter().chain(&decision.active).chain(preferred);
        let backends = backends.map(|i| intent.backends[*i].name.as_str());
        let asks_the_apex = intent.backends.iter().any(|backend| backend.port.is_none());
        let apex = intent.apexes.first().filter(|_| asks_the_apex);
        backends.chain(apex.map(String::as_str))
    }
}

/// The plan for an object; none where it is not managed or cannot be read.
///
/// Of several sets those that are to be rescued go first, and alone: any replica may make that move.
/// What else there is follows with the next plan.
pub(crate) fn plan(
    index: &Index,
    object: &ObjectRef,
    memory: Option<&Memory>,
    me: &Identity,
    moves: Moves,
    now: Now,
) -> Option<Plan> {
    let managed = index.object(object)?;
    let version = index.served(object.kind)?;
    let sets = managed.sets.as_ref().ok()?;
    let mut decided: Vec<Decided<'_>> = vec![];
    for set in sets {
        decided.push(decide_set(index, object, managed, set, memory, now));
    }
    let said = |d: &Decided<'_>| short_ports::of_set(&d.set.intent, &d.health, &d.decision);
    let short = decided.iter().flat_map(said).collect();
    let by_set = |d: &Decided<'_>| (d.set.intent.set.clone(), d.decision.names(&d.set.intent));
    let wants = decided.iter().map(by_set).collect();
    let stands = stands(&decided);
    let recorded = managed.nothing_ready();
    let told = memory.and_then(|memory| memory.nothing_ready.told()).unwrap_or(&recorded);
    let readiness = readiness(&decided, told);
    let leaves = |d: &Decided<'_>| d.flip.as_ref().is_some_and(|flip| !flip.leaves.is_empty());
    if moves == Moves::NotLeaving {
        decided.retain(|d| !leaves(d));
    }
    if decided.iter().any(|d| d.moves() && d.decision.rescue) {
        decided.retain(|d| !d.moves() || d.decision.rescue);
    }

    let moving = || decided.iter().filter(|d| d.moves());
    let mut rests_on = BTreeSet::new();
    for d in moving() {
        rests_on.extend(d.rests_on().map(|service| object.beside(service)));
    }
    let write = match decided.iter().map(|d| d.need).max() {
        Some(Need::Nothing) if moves == Moves::All && *told != recorded => {
            let need = Need::Record;
            Some(write(index, object, version, managed, &decided, need, told, me, now))
        }
        None | Some(Need::Nothing) => disclaim(object, version, managed),
        Some(need) => Some(write(index, object, version, managed, &decided, need, told, me, now)),
    };
    let pending = |d: &Decided<'_>| (d.set.intent.set.clone(), d.decision.pending.clone());
    let ahead = |d: &Decided<'_>| (d.set.intent.set.clone(), d.decision.names_ahead(&d.set.intent));
    Some(Plan {
        write,
        rescue: moving().next().is_some() && moving().all(|d| d.decision.rescue),
        active: moving().map(by_set).collect(),
        wants,
        rests_on: rests_on.into_iter().collect(),
        short,
        next: decided.iter().filter_map(|d| d.decision.next).min(),
        paused: sets.iter().any(|set| set.intent.policy.paused),
        stands,
        pending: decided.iter().map(pending).collect(),
        ahead: decided.iter().map(ahead).collect(),
        readiness,
        decider: managed.decider.clone(),
        seen: managed.seen,
        other_writer: managed.owners.other.clone(),
    })
}

/// Of the sets that have nothing ready, and of those that people have been told so of.
fn readiness(decided: &[Decided<'_>], told: &BySet<Timestamp>) -> BySet<(Readiness, String)> {
    let of = |d: &Decided<'_>| {
        let (set, readiness) = (&d.set.intent.set, Readiness::of(&d.health));
        let concerns = readiness == Readiness::Nothing || told.contains_key(set);
        concerns.then(|| (set.clone(), (readiness, each_health(&d.set.intent, &d.health))))
    };
    decided.iter().filter_map(of).collect()
}

fn decide_set<'a>(
    index: &Index,
    object: &ObjectRef,
    managed: &ManagedObject,
    set: &'a ManagedSet,
    memory: Option<&Memory>,
    now: Now,
) -> Decided<'a> {
    let ManagedSet { intent, state, .. } = set;
    let health = index.health(object.namespace(), intent, now.steady);
    let health = remembered(intent, &health, state.as_ref()).into_owned();
    // A delay is counted from when it was observed, here if it was here.
    let mut remembered = state.clone();
    let observed = |state: &SetState| {
        memory.and_then(|memory| memory.pending_beside(&intent.set, &state.active))
    };
    let delays = state.as_ref().and_then(observed).unwrap_or(&set.pending);
    if let Some(state) = &mut remembered {
        // What a replica has not watched all along may have come: it goes by the pods.
        let leaving = &managed.leaving;
        state.ahead.retain(|backend| match memory {
            Some(memory) if memory.has_come(&intent.set, backend) => false,
            Some(memory) if memory.has_watched(&intent.set, backend) => true,
            _ => index.still_has_one_of(leaving, &object.beside(backend)),
        });
    }
    let previous = match &remembered {
        Some(state) => Previous::Decided(state, delays),
        None => Previous::Live,
    };
    let decision = decide(intent, &health, previous, now);
    let need = need(intent, set.previous(), &decision);
    // What an author wrote past the webhook is recorded.
    let need = if managed.edited_by.is_some() { need.max(Need::Record) } else { need };
    let ahead = remembered.as_ref().map_or(&[][..], |state| &state.ahead).iter();
    let stayed = ahead.filter(|b| index.still_has_one_of(&managed.leaving, &object.beside(b)));
    let stayed: Vec<String> = stayed.cloned().collect();
    let flip = match need {
        Need::Nothing => None,
        _ => flip(index, object, set, &decision, &stayed, &health, now),
    };
    Decided { set, health, decision, need, flip }
}

/// Where the traffic of an object is, by its live weights, and whether its primaries are back.
fn stands(decided: &[Decided<'_>]) -> TrafficPosition {
    // What a person moves by hand is no loss.
    if decided.iter().any(|d| d.set.intent.policy.paused) {
        return TrafficPosition::Withdrawn;
    }
    let is_away = |d: &&Decided<'_>| {
        let (intent, carrying) = (&d.set.intent, d.set.intent.carrying());
        let by_a_pin = d.set.state.as_ref().is_some_and(|state| state.pinned);
        !carrying.is_empty() && !by_a_pin && !carrying.iter().any(|i| intent.is_primary(*i))
    };
    let is_back = |d: &Decided<'_>| match d.decision.because {
        // It has nowhere to go, and nowhere to come back from.
        _ if d.set.intent.is_alone() => true,
        DecisionReason::Pinned => true,
        DecisionReason::PrimaryServes => {
            !d.decision.active.iter().any(|i| d.health.get(*i).is_some_and(Health::is_unknown))
        }
        _ => false,
    };
    let away: Vec<_> = decided.iter().filter(is_away).collect();
    if !away.is_empty() {
        let left = |d: &&Decided<'_>| d.set.state.as_ref().and_then(|state| state.left);
        TrafficPosition::Left(away.iter().filter_map(left).max())
    } else if !decided.iter().all(is_back) {
        TrafficPosition::Undecided
    } else if decided.iter().any(|d| d.decision.because == DecisionReason::Pinned) {
        TrafficPosition::Withdrawn
    } else {
        TrafficPosition::Recovered
    }
}

#[expect(clippy::too_many_arguments, reason = "each is a fact of its own")]
fn write(
    index: &Index,
    object: &ObjectRef,
    version: &'static str,
    managed: &ManagedObject,
    decided: &[Decided<'_>],
    need: Need,
    nothing_ready: &BySet<Timestamp>,
    me: &Identity,
    now: Now,
) -> Write {
    let mut edit = Edit::guarded_by(&managed.resource_version);
    let mut weights = vec![];
    // What is left as it is keeps its state.
    let kept = managed.readable().iter();
    let mut states: BySet<_> = kept
        .filter_map(|set| {
            let mut state = set.state.clone()?;
            state.pending = now.to_wall(&set.pending);
            Some((set.intent.set.clone(), state))
        })
        .collect();
    for Decided { set, health, decision, .. } in decided {
        let intent = &set.intent;
        if intent.is_alone() {
            // It counts in what is compared.
            weights.extend(&decision.weights);
            continue;
        }
        for (entry, weight) in intent.by_entry(&decision.weights).into_iter().enumerate() {
            edit.weight(&intent.path.index(entry), weight);
        }
        weights.extend(&decision.weights);
        let mut state = decision.state(intent, health, now);
        state.nothing_ready = nothing_ready.get(&intent.set).copied();
        states.insert(intent.set.clone(), state);
    }
    let mut state = State::new(me, states);
    state.defaulted_primary = managed.defaulted_primary.as_deref().map(str::to_owned);
    let ahead = decided.iter().any(|d| !d.decision.ahead.is_empty());
    state.leaving = index.leaving_to_record(object, managed, ahead, now);
    let mut set = vec![(annotations::STATE, state.to_annotation())];
    if !managed.authored_recorded {
        let sets = managed.readable().iter().filter(|set| !set.intent.is_alone());
        let authored = sets.map(|set| (set.intent.set.clone(), set.intent.authored())).collect();
        let authored = AuthoredWeights::new(authored).written(managed.written.clone());
        set.push((annotations::AUTHORED_WEIGHTS, authored.to_annotation()));
    }
    edit.annotations(managed.has_annotations, &set);
    let kind = match Flip::joined(decided, managed.readable().len()) {
        Some(flip) => WriteKind::Flip(flip),
        None if need == Need::Traffic => WriteKind::Correction,
        None => WriteKind::Record,
    };
    Write {
        object: object.clone(),
        version,
        uid: managed.uid.clone(),
        resource_version: managed.resource_version.clone(),
        patch: edit.into_patch(),
        weights,
        is_first: !managed.has_state(),
        edited: managed.edited_by.as_ref().map(|by| edited(by, managed)),
        kind,
    }
}

/// Which weights somebody wrote past the webhook, in words.
fn edited(by: &str, managed: &ManagedObject) -> String {
    let of_set = |set: &ManagedSet| {
        let weights = set.intent.backends.iter().map(|b| format!("{} {}", b.name, b.authored));
        let weights = weights.collect::<Vec<_>>().join(", ");
        match set.intent.set.as_str() {
            "" => weights,
            rule => format!("rule {rule}: {weights}"),
        }
    };
    let weights: Vec<String> = managed.readable().iter().map(of_set).collect();
    format!(
        "{by} wrote weights past the webhook. The author's weights are from now on {}",
        weights.join("; ")
    )
}

/// A manager that applies meets a conflict with whoever owns `spec` beside it, also the first time it
/// applies. Taking a claim away works only in a write of its own.
fn disclaim(object: &ObjectRef, version: &'static str, managed: &ManagedObject) -> Option<Write> {
    if managed.owners.claims.is_empty() {
        return None;
    }
    let mut edit = Edit::guarded_by(&managed.resource_version);
    for position in &managed.owners.claims {
        edit.disclaim_spec(*position);
    }
    Some(Write {
        object: object.clone(),
        version,
        uid: managed.uid.clone(),
        resource_version: managed.resource_version.clone(),
        patch: edit.into_patch(),
        weights: vec![],
        is_first: false,
        edited: None,
        kind: WriteKind::Disclaim,
    })
}

impl Flip {
    /// The moves of an object with so many sets as one; none where nothing moves.
    fn joined(decided: &[Decided<'_>], sets: usize) -> Option<Self> {
        let flips: Vec<(&Intent, &Flip)> =
            decided.iter().filter_map(|d| Some((&d.set.intent, d.flip.as_ref()?))).collect();
        let (_, first) = *flips.first()?;
        // The rules of a route mostly move together.
        let alike = flips.len() == sets && flips.iter().all(|(_, f)| f.note == first.note);
        let of_rule = |(intent, flip): &(&Intent, &Flip)| match intent.set.as_str() {
            "" => flip.note.clone(),
            rule => format!("Rule {rule}: {}", flip.note),
        };
        let told = || flips.iter().map(of_rule).collect::<Vec<_>>().join("; ");
        Some(Self {
            on_primary: flips.iter().all(|(_, flip)| flip.on_primary),
            leaves: flips.iter().flat_map(|(_, flip)| flip.leaves.clone()).collect(),
            ahead: flips.iter().any(|(_, flip)| flip.ahead),
            taken_back: flips.iter().any(|(_, flip)| flip.taken_back),
            note: if alike { first.note.clone() } else { told() },
        })
    }
}

fn flip(
    index: &Index,
    object: &ObjectRef,
    set: &ManagedSet,
    decision: &Decision,
    stayed: &[String],
    health: &[Health],
    now: Now,
) -> Option<Flip> {
    let intent = &set.intent;
    let before = match &set.state {
        Some(state) => state.active.clone(),
        None => intent.carrying().iter().map(|i| intent.backends[*i].name.clone()).collect(),
    };
    let after = decision.names(intent);
    if before == after {
        return None;
    }
    let or_none = |names: &[String]| match names {
        [] => "no backend".to_owned(),
        names => names.join(", "),
    };
    let on_primary = decision.on_primary(intent);
    let lost = !on_primary && decision.because != DecisionReason::Pinned;
    let left = intent.primaries().filter(|name| lost && before.iter().any(|b| b == name));
    let ahead_of = decision.names_ahead(intent);
    let ahead = ahead_of.iter().any(|name| before.contains(name));
    let taken_back = stayed.iter().any(|name| after.contains(name));
    let occasion = if ahead {
        format!(", ahead of the deletion of {}", index.named_leaving(object, &ahead_of, now))
    } else if taken_back {
        ", which was not lost after all".into()
    } else {
        String::new()
    };
    Some(Flip {
        ahead,
        taken_back,
        on_primary,
        leaves: match left.count() {
            0 => vec![],
            _ => intent.primaries().map(str::to_owned).collect(),
        },
        note: format!(
            "Traffic of {} moved from {} to {}{occasion}: {}",
            intent.apex(),
            or_none(&before),
            or_none(&after),
            decision.explain(intent, health)
        ),
    })
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "plan_faults_tests.rs"]
mod faults_tests;
