//! The actions, and the annotations that each writes.

use crate::engine::annotations::{
    FAILBACK_REQUESTED, FROZEN, FROZEN_UNTIL, PAUSED, PAUSED_UNTIL, PIN, PIN_UNTIL, PREFIX,
};
use crate::engine::to_the_second;
use crate::kinds::changed_by::{ChangedBy, Changes, Intervention};
use jiff::Timestamp;

/// What is to be done, to an object or to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// These backends get the traffic.
    Pin {
        backends: Vec<String>,
    },
    Unpin,
    Pause,
    Resume,
    Failback,
    Freeze,
    Unfreeze,
    /// A pin that a drill begins.
    Drill {
        backend: String,
    },
}

/// An action with all that is recorded of it.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub action: Action,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    pub person: String,
    pub reason: Option<String>,
}

impl Action {
    pub(crate) fn intervention(&self) -> Intervention {
        match self {
            Self::Pin { .. } => Intervention::Pin,
            Self::Unpin => Intervention::Unpin,
            Self::Pause => Intervention::Pause,
            Self::Resume => Intervention::Resume,
            Self::Failback => Intervention::Failback,
            Self::Freeze => Intervention::Freeze,
            Self::Unfreeze => Intervention::Unfreeze,
            Self::Drill { .. } => Intervention::Drill,
        }
    }
}

impl Order {
    /// The annotations that it sets, and those that it removes where they are there.
    pub(crate) fn annotations(&self, now: Timestamp) -> Vec<(&'static str, Option<String>)> {
        let until = self.until.map(|until| to_the_second(until).to_string());
        let yes = || Some("true".to_owned());
        match &self.action {
            Action::Pin { backends } => vec![(PIN, Some(backends.join(","))), (PIN_UNTIL, until)],
            Action::Drill { backend } => vec![(PIN, Some(backend.clone())), (PIN_UNTIL, until)],
            Action::Unpin => vec![(PIN, None), (PIN_UNTIL, None)],
            Action::Pause => vec![(PAUSED, yes()), (PAUSED_UNTIL, until)],
            Action::Resume => vec![(PAUSED, None), (PAUSED_UNTIL, None)],
            Action::Failback => {
                vec![(FAILBACK_REQUESTED, Some(to_the_second(now).to_string()))]
            }
            Action::Freeze => vec![(FROZEN, yes()), (FROZEN_UNTIL, until)],
            Action::Unfreeze => vec![(FROZEN, None), (FROZEN_UNTIL, None)],
        }
    }

    /// Who does it, and why.
    pub(crate) fn changed_by(&self, now: Timestamp) -> ChangedBy {
        let short = |name: &str| name.trim_start_matches(PREFIX).to_owned();
        let set: Changes =
            self.annotations(now).into_iter().map(|(name, value)| (short(name), value)).collect();
        let (person, reason) = (self.person.clone(), self.reason.clone());
        ChangedBy::new(person, self.action.intervention(), to_the_second(now), reason, set)
    }
}
