//! From facts to a write: what to patch, and what to say once it has landed.

use crate::cluster::{Index, Managed};
use crate::failover::{
    AuthoredWeights, Decision, Intent, Previous, annotations, decide, needs_write,
};
use crate::resources::ObjectKey;
use crate::resources::traffic_split::Edit;
use jiff::Timestamp;

/// A write that an object needs.
#[derive(Debug)]
pub struct Write {
    pub key: ObjectKey,
    pub uid: String,
    pub resource_version: String,
    pub patch: json_patch::Patch,
    /// What moves; none where only the weights are put right.
    pub flip: Option<Flip>,
}

/// Traffic that moves from some backends to others.
#[derive(Clone, Debug, PartialEq)]
pub struct Flip {
    pub on_primary: bool,
    pub note: String,
}

/// The write that an object needs now, if any: the newest decision from the newest facts.
pub fn plan(index: &Index, key: &ObjectKey, replica: &str, now: Timestamp) -> Option<Write> {
    let managed = index.object(key)?;
    let intent = managed.intent.as_ref().ok()?;
    let health = index.health(&key.namespace, intent);
    let state = managed.state.as_ref();
    let decision = decide(intent, &health, state.map_or(Previous::Live, Previous::Decided), now);
    if !needs_write(intent, state, &decision) {
        return None;
    }

    let why = decision.explain(intent, &health);
    let mut edit = Edit::guarded_by(&managed.resource_version);
    edit.weights(&decision.weights);
    let mut set =
        vec![(annotations::STATE, decision.state(intent, &health, replica).to_annotation())];
    if !managed.authored_recorded {
        let authored = AuthoredWeights::new(intent.authored()).to_annotation();
        set.push((annotations::AUTHORED_WEIGHTS, authored));
    }
    edit.annotations(managed.has_annotations, &set);
    Some(Write {
        key: key.clone(),
        uid: managed.uid.clone(),
        resource_version: managed.resource_version.clone(),
        patch: edit.into_patch(),
        flip: flip(managed, intent, &decision, &why),
    })
}

fn flip(managed: &Managed, intent: &Intent, decision: &Decision, why: &str) -> Option<Flip> {
    let before = match &managed.state {
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
    Some(Flip {
        on_primary: decision.on_primary(intent),
        note: format!(
            "Traffic of {} moved from {} to {}: {why}",
            intent.apex,
            or_none(&before),
            or_none(&after)
        ),
    })
}
