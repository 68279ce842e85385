//! A managed object, as small as a decision allows.

use crate::engine::{
    AnnouncedPodUids, AuthoredText, AuthoredWeights, BySet, Declaration, Defaults, FAR_BEYOND,
    Intent, NamespaceDefault, Now, PendingDelays, Previous, Problem, SetState, State, SteadyTime,
    annotations, authored, external_edit, no_primary, service_of, too_many,
};
use crate::index::announced_pods::{RecordedPods, read_recorded_pods};
use crate::kinds::Kind;
use crate::kinds::adapter::InUse;
use crate::kinds::changed_by::ChangedBy;
use crate::kinds::managed_fields::Owners;
use crate::kinds::retries::RouteRetries;
use jiff::Timestamp;
use kube::core::DynamicObject;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The field manager of linkerd-failover 0.1: weights that it wrote are no author's.
const PREDECESSOR: &str = "failover.linkerd.io";

/// The most faults of an object that are kept, to be reported.
const FAULTS: usize = 16;

/// The facts of a managed object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ManagedObject {
    /// Its sets of backends that fail over, at least one; or everything that keeps it from being
    /// read.
    pub sets: Result<Box<[ManagedSet]>, Vec<Problem>>,
    /// The first faults of an object that is decided in spite of them.
    pub faults: Box<[Problem]>,
    /// Who made the decision that its state records.
    pub decider: Option<Arc<Decider>>,
    /// Since when that decision is known here.
    pub seen: SteadyTime,
    /// The version that these facts are of, which guards a write.
    pub resource_version: String,
    pub uid: String,
    /// Seconds since the epoch: of two objects on one apex the older wins.
    pub created: i64,
    pub has_annotations: bool,
    /// Whether the author's weights are recorded already, for these very backends.
    pub authored_recorded: bool,
    /// Those of them that the author did not write as integers.
    pub written: BySet<AuthoredText>,
    pub owners: Owners,
    /// Who wrote weights past the webhook that count as the author's.
    pub edited_by: Option<Box<str>>,
    /// Who changed it last by a command.
    pub changed_by: Option<Box<ChangedBy>>,
    /// Whether Linkerd routes by it.
    pub in_use: InUse,
    /// Linkerd's retries of its requests.
    pub retries: RouteRetries,
    /// The value of `primary-service` where it is our default: the author named none.
    pub defaulted_primary: Option<Box<str>>,
    /// Its rules without a primary that can be determined: they are not written.
    pub without_primary: Box<[Problem]>,
    /// Announced pods that an early flip was made for, as the state records them by the wall clock; the
    /// index reads them into `recorded_pods`.
    recorded_by_wall: AnnouncedPodUids,
    /// The same by the steady clock, in the index.
    pub recorded_pods: RecordedPods,
    /// The Services that the object names and that its sets do not: where it cannot be read, all.
    other_services: Box<[Box<str>]>,
}

/// A set of backends: its intent, and the decision that is recorded for it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ManagedSet {
    pub intent: Intent,
    pub state: Option<SetState>,
    /// The delays that the state records, by the steady clock, in the index.
    pub pending: PendingDelays,
}

impl ManagedSet {
    /// Gives back the room that its lists have reserved: there are many sets.
    fn without_slack(mut self) -> Self {
        let intent = &mut self.intent;
        intent.apexes.shrink_to_fit();
        intent.backends.shrink_to_fit();
        intent.tiers.shrink_to_fit();
        intent.tiers.iter_mut().for_each(Vec::shrink_to_fit);
        if let Some(state) = &mut self.state {
            state.active.shrink_to_fit();
        }
        self
    }

    /// The previous state for a decision from these facts.
    pub(crate) fn previous(&self) -> Previous<'_> {
        match &self.state {
            Some(state) => Previous::Decided(state, &self.pending),
            None => Previous::Live,
        }
    }
}

/// Who made the decision that an object's state records.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
        let written = declared.normalized().as_written(record.as_ref());
        let authored_recorded = intents.as_ref().is_ok_and(|intents| {
            let authored = AuthoredWeights::new(authored(intents)).written(written.clone());
            record == Some(authored)
        });
        let decider = state.as_ref().map(Decider::of).map(Arc::new);
        let defaulted_primary = defaulted_primary(&declared, state.as_ref());
        let (states, recorded_by_wall) =
            state.map(|state| (state.sets, state.announced_pods)).unwrap_or_default();
        let sets = intents.map(|intents| managed_sets(intents, states));
        let of_sets = services_of(sets.as_deref().unwrap_or_default());
        Self {
            other_services: match declared.backends().nth(FAR_BEYOND) {
                None => named(&declared).difference(&of_sets).map(|name| (*name).into()).collect(),
                Some(_) => Box::default(),
            },
            sets,
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
            changed_by: ChangedBy::of(declared.annotations.as_map()).map(Box::new),
            in_use: kind.in_use(object),
            retries: RouteRetries::read(kind.retries(), declared.annotations.as_map(), |_| false),
            defaulted_primary,
            without_primary: declared.without_primary().map(no_primary).collect(),
            recorded_by_wall,
            recorded_pods: RecordedPods::default(),
        }
    }

    /// Follows the protection that its namespace asks for.
    pub(crate) fn follow_namespace(&mut self, protection: NamespaceDefault) {
        for set in self.sets.as_deref_mut().unwrap_or_default() {
            set.intent.policy.protection.namespace = protection;
        }
    }

    /// Reads the times that its state records by the steady clock.
    pub(crate) fn start_clocks(&mut self, now: Now) {
        for set in self.sets.as_deref_mut().unwrap_or_default() {
            if let Some(state) = &set.state {
                set.pending = now.to_steady(&state.pending);
            }
        }
        if !self.recorded_by_wall.is_empty() {
            let recorded = std::mem::take(&mut self.recorded_by_wall);
            self.recorded_pods = read_recorded_pods(&now.to_steady(&recorded));
        }
    }

    /// The sets of an object that can be read.
    pub(crate) fn readable(&self) -> &[ManagedSet] {
        self.sets.as_deref().unwrap_or_default()
    }

    /// The Services that the object names, also where it cannot be read.
    pub(crate) fn services(&self) -> BTreeSet<&str> {
        let mut services = services_of(self.readable());
        services.extend(self.other_services.iter().map(|name| &**name));
        services
    }

    /// The Services that clients call, of an object that can be read.
    pub(crate) fn apexes(&self) -> &[String] {
        self.readable().first().map_or(&[], |set| &set.intent.apexes)
    }

    /// As if no decision had been recorded.
    #[cfg(feature = "planted-faults")]
    pub(crate) fn without_state(mut self) -> Self {
        for set in self.sets.as_deref_mut().unwrap_or_default() {
            set.state = None;
        }
        self
    }

    /// Whether every set that may be written has a state of ours.
    pub(crate) fn has_state(&self) -> bool {
        self.readable().iter().all(|set| set.state.is_some() || set.intent.is_alone())
    }

    /// The sets recorded to have nothing ready, and since when.
    pub(crate) fn nothing_ready(&self) -> BySet<Timestamp> {
        let since =
            |set: &ManagedSet| Some((set.intent.set.clone(), set.state.as_ref()?.nothing_ready?));
        self.readable().iter().filter_map(since).collect()
    }

    /// The decision that the state records: who made it, and the active backends of each set.
    pub(crate) fn decision(&self) -> (Option<&Decider>, Vec<Option<&[String]>>) {
        let sets = self.readable().iter();
        let active = sets.map(|set| set.state.as_ref().map(|state| state.active.as_slice()));
        (self.decider.as_deref(), active.collect())
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
        ManagedSet { intent, state, pending: PendingDelays::new() }.without_slack()
    };
    intents.into_iter().map(set).collect()
}

/// The Services that sets name.
fn services_of(sets: &[ManagedSet]) -> BTreeSet<&str> {
    let backends = sets.iter().flat_map(|set| &set.intent.backends);
    let backends = backends.filter(|b| b.fault.is_none()).map(|b| service_of(&b.name));
    let apexes = sets.iter().flat_map(|set| &set.intent.apexes).map(String::as_str);
    backends.chain(apexes).filter(|name| !name.is_empty()).collect()
}

/// The Services that an object names, read or not.
fn named(declared: &Declaration) -> BTreeSet<&str> {
    let backends = declared.backends().filter(|b| b.fault.is_none());
    let backends = backends.map(|b| service_of(&b.name));
    let apexes = declared.apexes.iter().map(String::as_str);
    backends.chain(apexes).filter(|name| !name.is_empty()).collect()
}
