//! A managed object, as small as a decision allows.

use crate::engine::{
    AnnouncedPodUids, AuthoredText, AuthoredWeights, BySet, Declaration, Defaults, FAR_BEYOND,
    Intent, Now, PendingDelays, Previous, Problem, SetState, State, SteadyTime, annotations,
    authored, external_edit, no_primary, service_of, too_many,
};
use crate::index::announced_pods::{Recorded, recorded_pods};
use crate::kinds::Kind;
use crate::kinds::adapter::InUse;
use crate::kinds::managed_fields::Owners;
use jiff::Timestamp;
use kube::core::DynamicObject;
use std::collections::BTreeSet;

/// As whom linkerd-failover 0.1 wrote weights: they were no author's.
const PREDECESSOR: &str = "failover.linkerd.io";

/// So many faults of an object are kept, to be reported.
const FAULTS: usize = 16;

/// The facts of a managed object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ManagedObject {
    /// Its sets of backends that fail over, at least one; or everything that keeps it from being
    /// read.
    pub sets: Result<Box<[ManagedSet]>, Vec<Problem>>,
    /// What is wrong with an object that can be worked with, the first of it.
    pub faults: Box<[Problem]>,
    /// Who made the decision that it carries.
    pub decider: Option<Decider>,
    /// Since when that decision has been seen here.
    pub seen: SteadyTime,
    /// The version that a decision from these facts must be written to.
    pub resource_version: String,
    pub uid: String,
    /// Seconds since the epoch: of two objects on one apex the older wins.
    pub created: i64,
    pub has_annotations: bool,
    /// Whether the author's weights are recorded already, for these very backends.
    pub authored_recorded: bool,
    /// Those of them that he wrote otherwise than as whole numbers.
    pub written: BySet<AuthoredText>,
    pub owners: Owners,
    /// Who wrote weights past the webhook that are the author's from now on.
    pub edited_by: Option<Box<str>>,
    /// Whether Linkerd routes by it.
    pub in_use: InUse,
    /// What stands as `primary-service` because the author named none.
    pub defaulted_primary: Option<Box<str>>,
    /// Its rules whose primary nobody can tell: they are left alone.
    pub without_primary: Box<[Problem]>,
    /// Pods that its traffic was moved for before they went, as it records them; the index takes them
    /// into `leaving`.
    recorded_pods: AnnouncedPodUids,
    /// The same by the steady clock, in the index.
    pub leaving: Recorded,
    /// Services that the object names, read or not.
    pub(crate) services: Box<[Box<str>]>,
}

/// A set of backends: what the author asked for, and what was decided last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ManagedSet {
    pub intent: Intent,
    pub state: Option<SetState>,
    /// The delays that the state records, by the steady clock, in the index.
    pub pending: PendingDelays,
}

impl ManagedSet {
    /// What was so before a decision from these facts.
    pub(crate) fn previous(&self) -> Previous<'_> {
        match &self.state {
            Some(state) => Previous::Decided(state, &self.pending),
            None => Previous::Live,
        }
    }
}

/// Who decided what an object's state says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decider {
    pub replica: Box<str>,
    pub engine: Box<str>,
}

impl Decider {
    fn of(state: &State) -> Self {
        Self { replica: state.by.as_str().into(), engine: state.engine.as_str().into() }
    }
}

impl ManagedObject {
    /// The facts of an object.
    pub(crate) fn read(kind: Kind, object: &DynamicObject, defaults: &Defaults) -> Self {
        let (mut declared, metadata) = (kind.read(object), &object.metadata);
        let owners = Owners::read(kind, metadata.managed_fields.as_deref().unwrap_or_default());
        let record = declared.record().cloned();
        let state = declared.state().cloned();
        let edited_by = adopt_external_edit(&mut declared, &owners);
        let (intents, faults) = read_intents(&declared, defaults);
        let recorded = record.as_ref().map(|record| &record.written);
        let written = declared.normalized().as_written(recorded.unwrap_or(&BySet::new()));
        let authored_recorded = intents.as_ref().is_ok_and(|intents| {
            let authored = AuthoredWeights::new(authored(intents)).written(written.clone());
            record == Some(authored)
        });
        let decider = state.as_ref().map(Decider::of);
        let defaulted_primary = defaulted_primary(&declared, state.as_ref());
        let (states, recorded_pods) =
            state.map(|state| (state.sets, state.announced_pods)).unwrap_or_default();
        Self {
            sets: intents.map(|intents| managed_sets(intents, states)),
            faults: faults.into(),
            decider,
            seen: SteadyTime::MIN,
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            created: metadata.creation_timestamp.as_ref().map_or(0, |t| t.0.as_second()),
            has_annotations: metadata.annotations.is_some(),
            authored_recorded,
            written,
            owners,
            edited_by,
            in_use: kind.in_use(object),
            defaulted_primary,
            without_primary: declared.without_primary().map(no_primary).collect(),
            recorded_pods,
            leaving: Recorded::default(),
            services: match declared.backends().nth(FAR_BEYOND) {
                None => named(&declared).into_iter().map(Into::into).collect(),
                Some(_) => Box::default(),
            },
        }
    }

    /// Reads the times that its state records by the steady clock.
    pub(crate) fn start_clocks(&mut self, now: Now) {
        for set in self.sets.as_deref_mut().unwrap_or_default() {
            if let Some(state) = &set.state {
                set.pending = now.to_steady(&state.pending);
            }
        }
        if !self.recorded_pods.is_empty() {
            self.leaving = recorded_pods(&now.to_steady(&std::mem::take(&mut self.recorded_pods)));
        }
    }

    /// The sets of an object that can be read.
    pub(crate) fn readable(&self) -> &[ManagedSet] {
        self.sets.as_deref().unwrap_or_default()
    }

    /// The Services that clients call, of an object that can be read.
    pub(crate) fn apexes(&self) -> &[String] {
        self.readable().first().map_or(&[], |set| &set.intent.apexes)
    }

    /// Whether every set that may be written has a state of ours.
    pub(crate) fn has_state(&self) -> bool {
        self.readable().iter().all(|set| set.state.is_some() || set.intent.is_alone())
    }

    /// The sets of which it is recorded that nothing is ready, and since when.
    pub(crate) fn nothing_ready(&self) -> BySet<Timestamp> {
        let since =
            |set: &ManagedSet| Some((set.intent.set.clone(), set.state.as_ref()?.nothing_ready?));
        self.readable().iter().filter_map(since).collect()
    }

    /// The decision that the object carries: who made it, and where it sent the traffic.
    pub(crate) fn decision(&self) -> (Option<&Decider>, Vec<Option<&[String]>>) {
        let sets = self.readable().iter();
        let active = sets.map(|set| set.state.as_ref().map(|state| state.active.as_slice()));
        (self.decider.as_ref(), active.collect())
    }
}

/// Weights that somebody set past the webhook are the author's from now on. Returns who did.
fn adopt_external_edit(declared: &mut Declaration, owners: &Owners) -> Option<Box<str>> {
    let author = owners.other.as_ref().filter(|other| other.as_ref() != PREDECESSOR)?;
    let weights = external_edit(&declared.normalized(), declared.state()?)?;
    let written = declared.record().map(|record| record.written.clone()).unwrap_or_default();
    declared.annotations.set_record(AuthoredWeights::new(weights).written(written));
    Some(author.clone())
}

/// The intents of an object with the faults that it can be worked with, or what keeps it from being read.
fn read_intents(
    declared: &Declaration,
    defaults: &Defaults,
) -> (Result<Vec<Intent>, Vec<Problem>>, Vec<Problem>) {
    let read = match declared.backends().count() {
        // Neither read nor decided: it would take the time of all others.
        all if all > FAR_BEYOND => Err(too_many(&declared.shape, all, all).into_iter().collect()),
        _ => Intent::read(declared, defaults).leniently(),
    };
    match read {
        Ok((intents, faults)) => (Ok(intents), first(faults)),
        Err(problems) => (Err(first(problems)), vec![]),
    }
}

fn first(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.truncate(FAULTS);
    problems
}

/// The primary that the state records as ours, while it is still what the object names.
fn defaulted_primary(declared: &Declaration, state: Option<&State>) -> Option<Box<str>> {
    let named = declared.annotations.get(annotations::PRIMARY_SERVICE)?;
    let defaulted = state?.defaulted_primary.as_deref()?;
    (named == defaulted).then(|| defaulted.into())
}

fn managed_sets(intents: Vec<Intent>, mut states: BySet<SetState>) -> Box<[ManagedSet]> {
    let set = |intent: Intent| {
        let mut state = states.remove(&intent.set);
        // Only people need the reason, and they read the object. But one of several sets may be written
        // while the others stay as they are.
        if let Some(state) = state.as_mut().filter(|_| intent.set.is_empty()) {
            state.why = String::new();
        }
        ManagedSet { intent, state, pending: PendingDelays::new() }
    };
    intents.into_iter().map(set).collect()
}

/// The Services that an object names, read or not.
fn named(declared: &Declaration) -> BTreeSet<&str> {
    let backends = declared.backends().filter(|b| b.fault.is_none());
    let backends = backends.map(|b| service_of(&b.name));
    let apexes = declared.apexes.iter().map(String::as_str);
    backends.chain(apexes).filter(|name| !name.is_empty()).collect()
}
