//! A managed object, as small as a decision allows.

use crate::failover::{Declaration, Defaults, Intent, Problem, SetState, State};
use crate::resources::managed_fields::Owners;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// The facts of a managed object.
#[derive(Clone, Debug, PartialEq)]
pub struct Managed {
    /// What the author asked for, or everything that keeps it from being read.
    pub intent: Result<Intent, Vec<Problem>>,
    /// What was decided last.
    pub state: Option<SetState>,
    /// By whom.
    pub decider: Option<Decider>,
    /// Since when that decision has been seen here, by the steady clock.
    pub seen: Timestamp,
    /// The version that a decision from these facts must be written to.
    pub resource_version: String,
    pub uid: String,
    /// Seconds since the epoch: of two objects on one apex the older wins.
    pub created: i64,
    pub has_annotations: bool,
    /// Whether the author's weights are recorded already, for these very backends.
    pub authored_recorded: bool,
    pub owners: Owners,
    /// Services that the object names, read or not.
    pub(super) services: Box<[Box<str>]>,
}

/// Who decided what an object's state says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decider {
    pub replica: Box<str>,
    pub engine: Box<str>,
}

impl Managed {
    /// The facts of an object, from its declaration and its metadata.
    pub fn new(
        declared: &Declaration,
        metadata: &kube::core::ObjectMeta,
        defaults: &Defaults,
    ) -> Self {
        let intent = Intent::parse(declared, defaults);
        let authored_recorded =
            intent.as_ref().is_ok_and(|intent| declared.recorded() == Some(intent.authored()));
        let backends = declared.backends.iter().map(|b| b.name.as_str());
        let named: BTreeSet<&str> =
            backends.chain([declared.apex.as_str()]).filter(|s| !s.is_empty()).collect();
        let state = declared.state();
        let decider = state.as_ref().map(|state| Decider {
            replica: state.by.as_str().into(),
            engine: state.engine.as_str().into(),
        });
        Self {
            intent,
            state: state.and_then(State::into_only_set).map(|set| SetState {
                // Only people need it, and they read the object.
                why: String::new(),
                ..set
            }),
            decider,
            seen: Timestamp::MIN,
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            created: metadata.creation_timestamp.as_ref().map_or(0, |t| t.0.as_second()),
            has_annotations: metadata.annotations.is_some(),
            authored_recorded,
            owners: Owners::read(metadata.managed_fields.as_deref().unwrap_or_default()),
            services: named.into_iter().map(Into::into).collect(),
        }
    }

    /// The decision that the object carries: who made it, and where it sent the traffic.
    pub(super) fn decision(&self) -> (Option<&Decider>, Option<&[String]>) {
        (self.decider.as_ref(), self.state.as_ref().map(|state| state.active.as_slice()))
    }
}
