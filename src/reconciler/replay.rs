//! Plans by an index without an API server: what a decision and its patch cost, for benchmarks.

use crate::engine::{Identity, Now};
use crate::informers::replay::Replay;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use crate::reconciler::context::ReconcileRequest;
use crate::reconciler::plan::{Moves, plan};

/// A TrafficSplit that is planned.
pub struct PlannedSplit {
    object: ObjectRef,
    me: Identity,
}

impl PlannedSplit {
    /// The one of this name, of a cluster that serves its kind.
    pub fn new(facts: &Replay, namespace: &str, name: &str) -> Self {
        facts.index().update(|index| {
            index.set_served(Kind::TrafficSplit, Some("v1alpha2"));
            vec![]
        });
        let object = ObjectRef::new(Kind::TrafficSplit, ObjectKey::new(namespace, name));
        Self { object, me: Identity::new("linkerd-failover-5d9c7bd6f8-x2x9z") }
    }

    /// The patch that it needs by these facts, as text; none where it needs none, or is not known.
    pub fn patch(&self, facts: &Replay, now: Now) -> Option<String> {
        let index = facts.index().read();
        let subject = ReconcileRequest::by_leader(&index, &self.object, now).subject()?;
        let write = plan(&subject, None, &self.me, Moves::All)?.write?;
        serde_json::to_string(&write.patch).ok()
    }
}
