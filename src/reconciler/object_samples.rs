//! The managed objects as metrics show them: what each is on by the facts at a scrape.

use crate::engine::{Health, Now, Peaks, SetState};
use crate::index::shared_index::SharedIndex;
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use crate::reconciler::context::ReconcileRequest;
use crate::reconciler::plan;
use crate::reconciler::set_decision::SetDecision;
use crate::reconciler::traffic_on::{Stopped, TrafficOn};
use crate::telemetry::ObjectSample;
use jiff::Timestamp;

/// So many objects are looked at before changes of the index are let in: a quarter of a millisecond.
const AT_A_TIME: usize = 16;

/// Every object, as metrics show it. The lock is not held for all of them together.
pub(crate) fn samples(shared: &SharedIndex, braked: bool) -> Vec<ObjectSample> {
    let objects: Vec<ObjectRef> = shared.read().objects().map(|(key, _)| key.clone()).collect();
    let mut samples = Vec::with_capacity(objects.len());
    for some in objects.chunks(AT_A_TIME) {
        let (index, now) = (shared.read(), shared.now());
        samples.extend(some.iter().filter_map(|object| sample(&index, object, braked, now)));
    }
    samples
}

/// An object as the leader would decide it; none where it is managed no more.
fn sample(index: &Index, object: &ObjectRef, braked: bool, now: Now) -> Option<ObjectSample> {
    let subject = ReconcileRequest::by_leader(index, object, now).subject()?;
    let decided = plan::decide(&subject, None).unwrap_or_default();
    let stopped = Stopped { frozen: index.cluster_wide.frozen, braked };
    let sets: Vec<SetSample<'_>> =
        decided.iter().map(|decided| SetSample::new(decided, stopped)).collect();
    let on = sets.iter().map(|set| set.on).max().unwrap_or(TrafficOn::Unreadable);
    Some(ObjectSample {
        namespace: object.key.namespace.clone(),
        kind: object.kind.as_str(),
        name: object.key.name.clone(),
        on,
        on_primary: (!sets.is_empty()).then(|| sets.iter().all(SetSample::is_on_primary)),
        since: since(on, &sets).map(Timestamp::as_second),
        fallbacks_ready: sets.iter().filter_map(SetSample::fallbacks_ready).min(),
        backends: backends(&sets),
    })
}

/// One set of an object.
struct SetSample<'a> {
    decided: &'a SetDecision<'a>,
    on: TrafficOn,
    /// The backends that have its traffic, by name.
    carrying: Vec<String>,
}

impl<'a> SetSample<'a> {
    fn new(decided: &'a SetDecision<'a>, stopped: Stopped) -> Self {
        let (on, carrying) = (TrafficOn::of_set(decided, stopped), decided.carrying());
        Self { decided, on, carrying }
    }

    fn state(&self) -> Option<&SetState> {
        self.decided.set.state.as_ref()
    }

    fn carries(&self, backend: &str) -> bool {
        self.carrying.iter().any(|name| name == backend)
    }

    fn is_on_primary(&self) -> bool {
        self.decided.set.intent.primaries().any(|primary| self.carries(primary))
    }

    /// Since when its traffic is there, where that is recorded.
    fn since(&self) -> Option<Timestamp> {
        let state = self.state()?;
        Some(match self.on {
            TrafficOn::Fallback => state.left.unwrap_or(state.since),
            TrafficOn::Held => state.nothing_ready.unwrap_or(state.since),
            _ => state.since,
        })
    }

    /// How many fallbacks meet their minimum; none where it has no fallback, or where all that may be
    /// ready cannot be seen.
    fn fallbacks_ready(&self) -> Option<usize> {
        let SetDecision { set, health, .. } = self.decided;
        let none = Peaks::new();
        let peaks = self.state().map_or(&none, |state| &state.peaks);
        let fallbacks = set.intent.indexed().filter(|(i, _)| !set.intent.is_primary(*i));
        let (mut ready, mut unknown, mut all) = (0, 0, 0);
        for (i, fallback) in fallbacks {
            let health = i.of(health).unwrap_or(&Health::Missing);
            all += 1;
            ready += usize::from(fallback.is_met_by(health, peaks));
            unknown += usize::from(health.is_unknown());
        }
        (all > 0 && (ready > 0 || unknown == 0)).then_some(ready)
    }
}

/// Since when an object is there: on its primaries since the last set is, elsewhere since the first is.
fn since(on: TrafficOn, sets: &[SetSample<'_>]) -> Option<Timestamp> {
    let there = sets.iter().filter(|set| set.on == on).filter_map(SetSample::since);
    if on == TrafficOn::Primary { there.max() } else { there.min() }
}

/// The backends of all sets, each once, and whether any set sends it traffic.
fn backends(sets: &[SetSample<'_>]) -> Vec<(String, bool)> {
    let mut all: Vec<(String, bool)> = vec![];
    for set in sets {
        for backend in &set.decided.set.intent.backends {
            let carries = set.carries(&backend.name);
            match all.iter_mut().find(|(name, _)| *name == backend.name) {
                Some((_, before)) => *before |= carries,
                None => all.push((backend.name.clone(), carries)),
            }
        }
    }
    all
}

#[cfg(test)]
#[path = "object_samples_tests.rs"]
mod tests;
