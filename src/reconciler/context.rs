//! The surroundings of the reconciler: every step reads them, none changes them.

use crate::deletion_guard::DelayBounds;
use crate::engine::{Defaults, Identity, Now};
use crate::events::Recorder;
use crate::index::change::Noticed;
use crate::index::managed_object::ManagedObject;
use crate::index::shared_index::SharedIndex;
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use crate::kinds::selector::LabelSelector;
use crate::notifications::Notifier;
use crate::telemetry::Metrics;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// What the operator of the program sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ControllerSettings {
    pub defaults: Defaults,
    /// The number of writes at once. The API server's CPU is the limit of a fan-out; more only queue there.
    pub concurrency: usize,
    /// Share of all objects, in percent, beyond which the brake holds; none: no brake.
    pub brake: Option<u32>,
    /// How long the deletion of a pod is delayed.
    pub deletion_delay: DelayBounds,
}

/// The surroundings of the reconciler.
pub(crate) struct Context {
    pub me: Identity,
    pub settings: ControllerSettings,
    /// Of the managed objects.
    pub selector: LabelSelector,
    pub shared: SharedIndex,
    pub leading: watch::Receiver<bool>,
    /// The own namespace, where people release the brake.
    pub namespace: String,
    pub metrics: Arc<Metrics>,
    /// Events, to be published off the hot path.
    pub recorder: Recorder,
    /// Notifications, to be delivered off the hot path.
    pub notifier: Notifier,
    /// Since when no write is under way: background work waits for that.
    pub quiet_since: watch::Sender<Option<Instant>>,
}

impl Context {
    pub(crate) fn leads(&self) -> bool {
        *self.leading.borrow()
    }
}

/// An object to reconcile, and the facts to do it by.
#[derive(Clone, Copy)]
pub(crate) struct ReconcileRequest<'a> {
    pub index: &'a Index,
    pub object: &'a ObjectRef,
    pub noticed: Noticed,
    pub now: Now,
    pub leads: bool,
}

impl<'a> ReconcileRequest<'a> {
    /// The leader's request, for an object that is noticed just now.
    pub(crate) fn by_leader(index: &'a Index, object: &'a ObjectRef, now: Now) -> Self {
        Self { index, object, noticed: Noticed::now(), now, leads: true }
    }

    /// The object with its facts, where it is a managed one.
    pub(crate) fn subject(&self) -> Option<Subject<'a>> {
        let Self { index, object, noticed, now, leads } = *self;
        let managed = index.object(object)?;
        Some(Subject { index, object, managed, noticed, now, leads })
    }
}

/// A managed object, as the leader reconciles it at this time.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn subject<'a>(index: &'a Index, object: &'a ObjectRef, now: Now) -> Subject<'a> {
    ReconcileRequest::by_leader(index, object, now).subject().expect("a managed object")
}

/// A managed object that is reconciled, and the facts beside it.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub index: &'a Index,
    pub object: &'a ObjectRef,
    pub managed: &'a ManagedObject,
    pub noticed: Noticed,
    pub now: Now,
    pub leads: bool,
}

impl Subject<'_> {
    /// The version in which its kind is served.
    pub(crate) fn version(&self) -> &'static str {
        self.index.served(self.object.kind).unwrap_or(self.object.kind.versions()[0])
    }
}
