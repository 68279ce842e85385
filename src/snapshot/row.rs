//! One object of a snapshot: what it asks for, what is known, what was decided, and what would be now.

use crate::engine::{
    BackendIndex, BySet, Decision, Health, Intent, Problem, SetState, State, Unknown, annotations,
};
use crate::index::managed_object::{Decider, ManagedObject, ManagedSet};
use crate::index::resource::WatchedResource;
use crate::kinds::ObjectRef;
use crate::kinds::adapter::InUse;
use crate::kinds::changed_by::ChangedBy;
use crate::reconciler::context::{ReconcileRequest, Subject};
use crate::reconciler::gates::facts;
use crate::reconciler::plan;
use crate::reconciler::set_decision::{SetDecision, carrying};
use crate::reconciler::traffic_on::TrafficOn;
use crate::snapshot::freeze::Freeze;
use crate::snapshot::next_step::NextStep;
use crate::snapshot::take::Snapshot;
use jiff::Timestamp;
use kube::ResourceExt;

/// What is known and decided of an object.
#[derive(Clone, Debug)]
pub(crate) struct ObjectRow {
    pub object: ObjectRef,
    pub on: TrafficOn,
    /// Its sets; or everything that keeps it from being read.
    pub sets: Result<Vec<SetRow>, Vec<Problem>>,
    /// What is wrong with it otherwise; it is decided in spite of that.
    pub faults: Vec<Problem>,
    /// Whether Linkerd routes by it.
    pub in_use: InUse,
    /// Who made the decision that its state records.
    pub decider: Option<Decider>,
    /// Who changed it last by a command, and why.
    pub changed_by: Option<ChangedBy>,
    /// The freeze of the whole cluster.
    pub freeze: Option<Freeze>,
}

/// What is known and decided of one set of backends.
#[derive(Clone, Debug)]
pub(crate) struct SetRow {
    pub intent: Intent,
    pub on: TrafficOn,
    /// In the author's order.
    pub backends: Vec<BackendRow>,
    /// The decision that is recorded.
    pub state: Option<SetState>,
    /// The leader's decision by these facts; none where too little is known.
    pub decision: Option<Decision>,
    /// What it waits for.
    pub next: Vec<NextStep>,
}

/// A backend, and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct BackendRow {
    pub name: String,
    /// 0 for a primary.
    pub tier: usize,
    /// Whether it has the traffic now.
    pub is_active: bool,
    /// The weight in the object now, and the author's.
    pub live: u32,
    pub authored: u32,
    pub health: Health,
    /// Whether it has as many ready endpoints as it needs; none where that is not known.
    pub meets_minimum: Option<bool>,
}

impl SetRow {
    /// Since when the traffic is where it is, where that is recorded.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.state.as_ref().map(|state| state.since)
    }

    /// Why the traffic is where it is: as it is recorded, else by the present facts.
    pub(crate) fn why(&self) -> Option<String> {
        let recorded = self.state.as_ref().map(|state| state.why.clone());
        let present = || Some(self.decision.as_ref()?.explain(&self.intent, &self.health()));
        recorded.filter(|why| !why.is_empty()).or_else(present)
    }

    /// The health of each backend, in the author's order.
    pub(crate) fn health(&self) -> Vec<Health> {
        self.backends.iter().map(|backend| backend.health.clone()).collect()
    }

    /// The names of the backends that have the traffic.
    pub(crate) fn active(&self) -> impl Iterator<Item = &str> {
        self.backends.iter().filter(|backend| backend.is_active).map(|b| b.name.as_str())
    }

    /// Its fallbacks.
    pub(crate) fn fallbacks(&self) -> impl Iterator<Item = &BackendRow> {
        self.backends.iter().filter(|backend| backend.tier > 0)
    }
}

impl Snapshot {
    /// A row for each managed object of the area, in the order of their names.
    pub(crate) fn rows(&self) -> Vec<ObjectRow> {
        self.object_refs().into_iter().filter_map(|object| self.row(object)).collect()
    }

    /// The row of an object; none where it is not a managed one.
    pub(crate) fn row(&self, object: &ObjectRef) -> Option<ObjectRow> {
        let managed = self.index.object(object)?;
        let recorded = self.recorded(object);
        let decided = self.decided(object);
        let is_served = self.index.served(object.kind).is_some();
        let on = match (&decided, &managed.sets) {
            (Some(decided), _) => TrafficOn::of_object(Some(decided), self.stopped()),
            (None, Ok(sets)) if is_served => recorded_on(sets, self.now.wall),
            (None, _) => TrafficOn::Unreadable,
        };
        let sets = managed.sets.as_ref().map_err(Clone::clone).map(|sets| match &decided {
            Some(decided) => decided.iter().map(|set| self.decided_row(set, &recorded)).collect(),
            None => sets.iter().map(|set| self.undecided_row(object, set, &recorded)).collect(),
        });
        Some(ObjectRow {
            object: object.clone(),
            on,
            sets,
            faults: faults(managed),
            in_use: managed.in_use.clone(),
            decider: managed.decider.as_deref().cloned(),
            changed_by: managed.changed_by.as_deref().cloned(),
            freeze: self.freeze(),
        })
    }

    /// What the leader decides of an object's sets; none where too little is known, or it cannot be read.
    pub(crate) fn decided(&self, object: &ObjectRef) -> Option<Vec<SetDecision<'_>>> {
        plan::decide(&self.subject(object)?, None)
    }

    /// An object as the leader reconciles it; none where too little is known.
    pub(crate) fn subject(&self, object: &ObjectRef) -> Option<Subject<'_>> {
        let (object, _) = self.index.object_entry(object)?;
        let request = ReconcileRequest::by_leader(&self.index, object, self.now);
        facts::check(&request).ok().filter(|_| self.knows_health())
    }

    /// Whether Services and their endpoints could be listed.
    fn knows_health(&self) -> bool {
        let needed = [WatchedResource::Services, WatchedResource::EndpointSlices];
        needed.into_iter().all(|resource| self.index.synced.has(resource))
    }

    /// The state that an object records. The index leaves out what only people need.
    fn recorded(&self, object: &ObjectRef) -> BySet<SetState> {
        let text = self.objects.get(object).and_then(|o| o.annotations().get(annotations::STATE));
        text.and_then(|text| State::parse(text)).map(|state| state.sets).unwrap_or_default()
    }

    fn decided_row(&self, decided: &SetDecision<'_>, recorded: &BySet<SetState>) -> SetRow {
        let SetDecision { set, health, decision, .. } = decided;
        SetRow {
            on: TrafficOn::of_set(decided, self.stopped()),
            next: self.next_steps(decided),
            decision: Some(decision.clone()),
            ..row_of(set, health.clone(), recorded, self.now.wall)
        }
    }

    fn undecided_row(
        &self,
        object: &ObjectRef,
        set: &ManagedSet,
        recorded: &BySet<SetState>,
    ) -> SetRow {
        let health = match self.knows_health() {
            true => self.index.health(object.namespace(), &set.intent, self.now),
            false => set.intent.backends.iter().map(|_| Health::Unknown(Unknown::NotYet)).collect(),
        };
        row_of(set, health, recorded, self.now.wall)
    }
}

/// A set that is not decided.
fn row_of(
    set: &ManagedSet,
    health: Vec<Health>,
    recorded: &BySet<SetState>,
    now: Timestamp,
) -> SetRow {
    let carrying = carrying(set);
    let intent = &set.intent;
    let state = recorded.get(&intent.set).cloned().or_else(|| set.state.clone());
    let backends = intent.indexed().zip(health).map(|((i, _), health)| {
        let has_traffic = |name: &String| carrying.contains(name);
        backend_row(set, i, health, has_traffic)
    });
    SetRow {
        on: TrafficOn::recorded(set, &carrying, now),
        backends: backends.collect(),
        state,
        decision: None,
        next: vec![],
        intent: intent.clone(),
    }
}

fn backend_row(
    set: &ManagedSet,
    i: BackendIndex,
    health: Health,
    has_traffic: impl Fn(&String) -> bool,
) -> BackendRow {
    let backend = &set.intent.backends[i];
    let peaks = set.state.as_ref().map(|state| state.peaks.clone()).unwrap_or_default();
    let is_met = || backend.is_met_by(&health, &peaks);
    BackendRow {
        name: backend.name.clone(),
        tier: backend.tier,
        is_active: has_traffic(&backend.name),
        live: backend.live,
        authored: backend.authored,
        meets_minimum: (!health.is_unknown()).then(is_met),
        health,
    }
}

fn recorded_on(sets: &[ManagedSet], now: Timestamp) -> TrafficOn {
    let each = sets.iter().map(|set| TrafficOn::recorded(set, &carrying(set), now));
    each.max().unwrap_or(TrafficOn::Unreadable)
}

fn faults(managed: &ManagedObject) -> Vec<Problem> {
    managed.faults.iter().chain(&managed.without_primary).cloned().collect()
}
