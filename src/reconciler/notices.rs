//! What is said about an object beside its moves: once, and by who leads.

use crate::engine::Now;
use crate::index::managed_object::ManagedObject;
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use crate::kinds::route::InUse;
use crate::reconciler::plan::{Plan, Write, WriteKind};
use crate::reconciler::queue::Queue;
use crate::reconciler::reconcile::Controller;
use crate::reconciler::reports;
use jiff::{SignedDuration, Timestamp};

/// Linkerd takes a moment to say that it has accepted a new route.
const ACCEPTED_WITHIN: SignedDuration = SignedDuration::from_secs(60);

impl Controller {
    pub(crate) fn mention_unreadable(
        &self,
        queue: &mut Queue,
        index: &Index,
        object: &ObjectRef,
        managed: &ManagedObject,
    ) {
        let problems = match &managed.sets {
            Err(problems) => problems,
            Ok(_) => &*managed.faults,
        };
        let whole = managed.sets.is_err();
        let causes: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let causes = Some(causes.join("; ")).filter(|_| whole || !problems.is_empty());
        let was = queue.memories.get(object).is_some_and(|m| m.unreadable || m.faulty);
        if causes.is_none() && !was {
            return;
        }
        let memory = queue.memories.entry(object);
        memory.unreadable = whole;
        memory.faulty = !whole && causes.is_some();
        // Who does not lead says nothing, and has it to say on the day it does.
        if self.leads() {
            match &causes {
                Some(causes) if memory.is_news(causes) => {
                    match whole {
                        true => tracing::warn!(%object, %causes, "cannot be read, left as it is"),
                        false => tracing::warn!(%object, %causes, "cannot be read in part"),
                    }
                    self.say(reports::unreadable(object, version(index, object), managed, causes));
                }
                Some(_) => {}
                None => memory.has_said_nothing(),
            }
        }
        self.metrics.unreadable.set(queue.memories.unreadable() as i64);
        self.metrics.faulty.set(queue.memories.faulty() as i64);
    }

    /// A route that Linkerd has not accepted steers nothing, whatever its weights are.
    pub(crate) fn mention_not_in_use(
        &self,
        queue: &mut Queue,
        index: &Index,
        object: &ObjectRef,
        managed: &ManagedObject,
        now: Now,
    ) {
        let why = match &managed.in_use {
            InUse::Yes => None,
            InUse::No(why) => Some(why.clone()),
            InUse::NotSaid => {
                let began = Timestamp::from_second(managed.created).unwrap_or_default();
                let wait = ACCEPTED_WITHIN - began.duration_until(now.wall);
                if wait.is_positive() {
                    queue.alarms.set(object, wait.try_into().unwrap_or_default());
                    return;
                }
                Some("no policy controller of Linkerd has accepted it; is its parent a Service with a ClusterIP, and does Linkerd run?".into())
            }
        };
        let was = queue.memories.get(object).and_then(|memory| memory.not_in_use.clone());
        if !self.leads() || was == why {
            return;
        }
        match &why {
            Some(why) => {
                tracing::warn!(%object, why, "Linkerd does not route by it");
                self.say(reports::not_in_use(object, version(index, object), managed, why));
            }
            None => tracing::info!(%object, "Linkerd routes by it"),
        }
        queue.memories.entry(object).not_in_use = why;
        self.metrics.not_in_use.set(queue.memories.not_in_use() as i64);
    }

    /// Rules whose primary nobody can tell do not fail over, beside others that do.
    pub(crate) fn mention_without_primary(
        &self,
        queue: &mut Queue,
        index: &Index,
        object: &ObjectRef,
        managed: &ManagedObject,
    ) {
        let rules: Vec<String> = managed.without_primary.iter().map(ToString::to_string).collect();
        let rules = (!rules.is_empty()).then(|| rules.join("; ").into_boxed_str());
        let was = queue.memories.get(object).and_then(|memory| memory.without_primary.clone());
        if !self.leads() || was == rules {
            return;
        }
        match &rules {
            Some(rules) => {
                tracing::warn!(%object, %rules, "rules without a primary do not fail over");
                self.say(reports::without_primary(object, version(index, object), managed, rules));
            }
            None => tracing::info!(%object, "every rule has a primary"),
        }
        queue.memories.entry(object).without_primary = rules;
        self.metrics.without_primary.set(queue.memories.without_primary() as i64);
    }

    /// Traffic should move and does not, by a person's word: said once.
    pub(crate) fn tell_held(&self, queue: &mut Queue, write: &Write, plan: &Plan, why: &str) {
        let WriteKind::Flip(flip) = &write.kind else { return };
        if !self.leads() {
            return;
        }
        let text = format!("{why}: {:?}", plan.active);
        if queue.memories.entry(&write.object).is_news(&text) {
            tracing::warn!(object = %write.object, "{}; nothing is written: {why}", flip.should());
            self.say(reports::held(write, flip, why));
        }
    }
}

/// The version in which an object that is there is served.
pub(crate) fn version(index: &Index, object: &ObjectRef) -> &'static str {
    index.served(object.kind).unwrap_or(object.kind.versions()[0])
}
