//! What a gate decides.

use crate::reconciler::gates::brake::TrafficPosition;
use crate::reconciler::ordered_queue::Urgency;
use crate::reconciler::plan::Plan;
use crate::reconciler::write::Write;
use std::time::Duration;

/// What a gate returns: what the next one is to look at, or why there is nothing to write now.
pub(crate) type Gate<T> = Result<T, Stop>;

/// A write that an object needs, and the plan that it is from.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub write: Write,
    pub plan: Plan,
}

impl Wanted {
    /// How urgent the write is.
    pub(crate) fn urgency(&self) -> Urgency {
        Urgency::of(&self.write, self.plan.rescue)
    }
}

/// Nothing is written now.
#[derive(Debug, PartialEq)]
pub(crate) struct Stop {
    pub reason: StopReason,
    /// What the brake counts of the object; none where it has been asked already.
    pub position: Option<TrafficPosition>,
    pub profile: ProfileWork,
    /// When to look again even if nothing changes.
    pub look_again: Option<Duration>,
    /// Traffic is still to move, once the gate opens.
    pub moves: bool,
}

/// Which gate stopped a reconciliation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The watch of its kind is being listed.
    NotSynced,
    /// There is no such object among the managed ones.
    Absent,
    /// Something in its namespace may not be read: not known is not down.
    Hidden,
    /// There is no plan for it: it cannot be read, or its kind is not served.
    Unplanned,
    /// It is as it should be.
    UpToDate,
    /// A person holds it, or the brake does.
    OnHold,
    /// The write is another replica's to make, or it is not certain yet that it is ours.
    NotPermitted,
    /// Something more urgent goes before it.
    Deferred,
    /// The ServiceProfile, which callers follow, is written first.
    ProfileFirst,
    /// Of attempts before: one failed, or another writer overwrites them.
    Backoff,
}

/// What becomes of the ServiceProfile of a split whose weights are not written now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProfileWork {
    /// Nothing, or it is under way.
    None,
    /// Where the split is gone, its profile is restored.
    Restore,
    /// It gets the live weights, where it is for this replica to write.
    Carry { ours: bool },
}

impl Stop {
    pub(crate) fn new(reason: StopReason) -> Self {
        Self { reason, position: None, profile: ProfileWork::None, look_again: None, moves: false }
    }

    /// At the gates for a write that is wanted.
    pub(crate) fn of_write(reason: StopReason, write: &Write) -> Self {
        Self { moves: write.flip().is_some(), ..Self::new(reason) }
    }

    pub(crate) fn at(self, position: TrafficPosition) -> Self {
        Self { position: Some(position), ..self }
    }

    pub(crate) fn with_profile(self, profile: ProfileWork) -> Self {
        Self { profile, ..self }
    }

    pub(crate) fn look_again(self, after: Option<Duration>) -> Self {
        Self { look_again: after, ..self }
    }
}
