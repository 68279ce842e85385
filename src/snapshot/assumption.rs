//! What if: the health of Services replaced, and what would be written then.

use crate::engine::{Health, Intent, Policy, WriteNeed};
use crate::index::managed_object::ManagedSet;
use crate::kinds::{ObjectKey, ObjectRef};
use crate::reconciler::context::Subject;
use crate::reconciler::set_decision::SetDecision;
use crate::snapshot::next_step::NextStep;
use crate::snapshot::take::Snapshot;
use jiff::SignedDuration;
use std::collections::BTreeMap;

/// Services that are assumed to have so many ready endpoints.
pub(crate) type Assumptions = BTreeMap<ObjectKey, u32>;

/// What would be written of a set.
#[derive(Clone, Debug)]
pub(crate) struct SetPlan {
    /// Its name.
    pub set: String,
    /// Its backends, in the author's order.
    pub backends: Vec<BackendPlan>,
    /// What is decided at once.
    pub now: Step,
    /// What is decided once the delays are over, where that is something else.
    pub then: Option<Step>,
    /// What it waits for.
    pub next: Vec<NextStep>,
    /// The delays of its object: before a failover, and before a failback.
    pub delays: [SignedDuration; 2],
    /// Whether a person, or the brake, keeps it from being written.
    pub is_held: bool,
}

/// A backend under the assumptions.
#[derive(Clone, Debug)]
pub(crate) struct BackendPlan {
    pub name: String,
    pub live: u32,
    pub health: Health,
    pub is_assumed: bool,
}

/// A decision, as it would be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// In the author's order.
    pub weights: Vec<u32>,
    pub active: Vec<String>,
    pub why: String,
    pub need: WriteNeed,
    pub moves: bool,
}

impl Snapshot {
    /// What would be written of an object under these assumptions; none where too little is known.
    pub(crate) fn plan(&self, object: &ObjectRef, assumed: &Assumptions) -> Option<Vec<SetPlan>> {
        let subject = self.subject(object)?;
        let sets = subject.managed.sets.as_ref().ok()?;
        Some(sets.iter().map(|set| self.set_plan(&subject, set, assumed)).collect())
    }

    fn set_plan(&self, subject: &Subject<'_>, set: &ManagedSet, assumed: &Assumptions) -> SetPlan {
        let health = health(subject, &set.intent, assumed);
        let decided = SetDecision::by_health(subject, set, None, health.clone());
        let at_once = without_delays(set);
        let now = Step::of(&decided);
        let then = Step::of(&SetDecision::by_health(subject, &at_once, None, health));
        let (intent, policy) = (&set.intent, &set.intent.policy);
        let backends = intent.backends.iter().zip(&decided.health).map(|(backend, health)| {
            let is_assumed = assumed.contains_key(&subject.object.beside(&backend.name));
            let (name, health) = (backend.name.clone(), health.clone());
            BackendPlan { name, live: backend.live, health, is_assumed }
        });
        SetPlan {
            set: intent.set.clone(),
            backends: backends.collect(),
            then: (then.active != now.active).then_some(then),
            next: self.next_steps(&decided),
            delays: [policy.failover_delay, policy.failback_delay],
            is_held: decided.paused || self.freeze().is_some() || self.stopped().stops(&decided),
            now,
        }
    }
}

impl Step {
    fn of(decided: &SetDecision<'_>) -> Self {
        let SetDecision { set, health, decision, need, moves, .. } = decided;
        Self {
            weights: decision.weights.clone(),
            active: decided.active(),
            why: decision.explain(&set.intent, health),
            need: *need,
            moves: *moves,
        }
    }
}

/// The same set, of an author who wants no delay.
fn without_delays(set: &ManagedSet) -> ManagedSet {
    let zero = SignedDuration::ZERO;
    let policy = set.intent.policy.clone();
    let policy = Policy { failover_delay: zero, failback_delay: zero, ..policy };
    ManagedSet { intent: Intent { policy, ..set.intent.clone() }, ..set.clone() }
}

fn health(subject: &Subject<'_>, intent: &Intent, assumed: &Assumptions) -> Vec<Health> {
    let Subject { index, object, now, .. } = subject;
    let mut health = index.health(object.namespace(), intent, *now);
    for (backend, health) in intent.backends.iter().zip(&mut health) {
        let assumed = assumed.get(&object.beside(&backend.name));
        // What can never be a Service gets no endpoints.
        if let Some(ready) = assumed.filter(|_| backend.can_serve()) {
            *health = with_ready(health, *ready);
        }
    }
    health
}

/// A health with so many ready endpoints, of as many as there are at least. A declaration that it is down stands.
fn with_ready(health: &Health, ready: u32) -> Health {
    match health {
        Health::DeclaredDown(down) => {
            let mut down = down.clone();
            down.seen = with_ready(&down.seen, ready);
            Health::DeclaredDown(down)
        }
        Health::Seen { total, peak, .. } => Health::Seen {
            ready,
            total: ready.max(*total),
            peak: ready.max(*peak),
            announced: None,
            ports: None,
        },
        _ => Health::seen(ready, ready),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::test_support::*;

    const NAMES: [&str; 2] = ["emoji-svc", "emoji-svc-west"];

    fn plan(ready: [usize; 2], annotations: &[(&str, &str)], assumed: &[(&str, u32)]) -> SetPlan {
        let services = NAMES.iter().zip(ready).flat_map(|(name, ready)| service(name, ready, 2));
        let split = split(&[(NAMES[0], 1), (NAMES[1], 0)], annotations);
        let snapshot = snapshot(&services.chain([split]).collect::<Vec<_>>());
        let object = snapshot.object_refs()[0].clone();
        let assumed = assumed.iter().map(|(name, ready)| (object.beside(name), *ready)).collect();
        snapshot.plan(&object, &assumed).unwrap().remove(0)
    }

    #[test]
    fn what_is_assumed_replaces_what_is_seen_and_nothing_else() {
        let lost = plan([2, 2], &[], &[(NAMES[0], 0)]);
        assert_eq!((lost.now.weights, lost.now.moves), (vec![0, 1], true));
        let both = plan([2, 0], &[], &[(NAMES[0], 0)]);
        assert_eq!((both.now.weights, both.now.moves), (vec![1, 0], false), "nothing is ready");
        let west = plan([2, 0], &[], &[(NAMES[0], 0), (NAMES[1], 3)]);
        assert_eq!(west.now.weights, [0, 1]);
        assert_eq!(west.backends[1].health.to_string(), "3 of 3 endpoints ready");
        let as_it_is = plan([0, 2], &[], &[]);
        assert_eq!(as_it_is.now.weights, [0, 1]);
    }

    #[test]
    fn a_write_after_a_delay_is_distinguished_from_one_at_once() {
        let late = plan([2, 2], &[("failover-delay", "30s")], &[(NAMES[0], 0)]);
        assert_eq!((late.now.weights, late.now.moves), (vec![1, 0], false));
        assert_eq!(late.then.unwrap().weights, [0, 1]);
        assert_eq!(late.next[0].to_string(), "leaves emoji-svc in 30s");
        assert!(plan([2, 2], &[], &[(NAMES[0], 0)]).then.is_none());
    }

    #[test]
    fn a_share_of_the_endpoints_is_of_as_many_as_there_are() {
        let few = plan([2, 2], &[("min-ready", "100%")], &[(NAMES[0], 1)]);
        assert_eq!(few.now.weights, [0, 1], "one of two is less than all");
        let more = plan([2, 2], &[("min-ready", "100%")], &[(NAMES[0], 3)]);
        assert_eq!(more.now.weights, [1, 0]);
    }
}
