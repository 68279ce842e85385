//! What the reconciler reports in Events: each function makes one, from what was found.

use crate::engine::annotations::PIN;
use crate::events::EventAction::{Failback, Failover, Read, Record, Write as WriteProfile};
use crate::events::{EventReason, NewEvent, Regarding};
use crate::index::managed_object::ManagedObject;
use crate::index::store::Index;
use crate::kinds::ObjectRef;
use crate::kinds::changed_by::ChangedBy;
use crate::reconciler::context::Subject;
use crate::reconciler::flip::Flip;
use crate::reconciler::service_profiles::plan::NotOurs;
use crate::reconciler::write::{Write, WriteKind};

/// Traffic moved: Warning where it left the primary, Normal where it returned.
pub(crate) fn flipped(write: &Write, flip: &Flip) -> NewEvent {
    let (regarding, note) = (written(write), flip.made());
    match flip.on_primary() {
        true => NewEvent::normal(regarding, EventReason::Failover, Failback, note),
        false => NewEvent::warning(regarding, EventReason::Failover, Failover, note),
    }
}

/// A write that the API server or a webhook refused.
pub(crate) fn refused(write: &Write, error: &str) -> NewEvent {
    let wanted = match &write.kind {
        WriteKind::Flip(flip) => flip.due(),
        WriteKind::Correction => "The weights should be put right".into(),
        WriteKind::Record | WriteKind::Disclaim => "The state should be recorded".into(),
    };
    let note = format!("{wanted}. The write failed and is tried again: {error}");
    NewEvent::warning(written(write), EventReason::FailoverRefused, Failover, note)
}

/// A move that is not made because a person decided so.
pub(crate) fn on_hold(write: &Write, flip: &Flip, why: &str) -> NewEvent {
    let note = format!("{}. Nothing is written: {why}", flip.due());
    NewEvent::warning(written(write), EventReason::FailoverHeld, Failover, note)
}

/// Weights that somebody wrote past the webhook are the author's from now on.
pub(crate) fn edited(write: &Write, note: &str) -> NewEvent {
    NewEvent::normal(written(write), EventReason::WeightsTaken, Record, note)
}

/// Another writer keeps replacing our weights.
pub(crate) fn undone(write: &Write, who: &str, times: u32) -> NewEvent {
    let note = format!(
        "The weights written here were undone {times} times, last by field manager {who}. They are written again, ever less often: let {who} ignore {} of this object, or let its writes pass the webhook of linkerd-failover",
        write.object.kind.weights_path()
    );
    NewEvent::warning(written(write), EventReason::WeightsUndone, Failover, note)
}

/// An object that cannot be read, or not entirely.
pub(crate) fn unreadable(
    object: &ObjectRef,
    version: &'static str,
    managed: &ManagedObject,
    causes: &str,
) -> NewEvent {
    let what = match managed.sets.is_err() {
        true => "This object is left as it is and does not fail over",
        false => "A part of this object cannot be read; the rest of it fails over",
    };
    let note = format!("{what}: {causes}");
    NewEvent::warning(known(object, version, managed), EventReason::Unreadable, Read, note)
}

/// A route with rules that do not fail over until their author names their primaries.
pub(crate) fn without_primary(
    object: &ObjectRef,
    version: &'static str,
    managed: &ManagedObject,
    rules: &str,
) -> NewEvent {
    let note = format!("Some rules are left as they are: {rules}");
    NewEvent::warning(known(object, version, managed), EventReason::NoPrimary, Read, note)
}

/// An object that lacks something of its protection until it is applied again.
pub(crate) fn incomplete(
    object: &ObjectRef,
    version: &'static str,
    managed: &ManagedObject,
    lacking: &str,
) -> NewEvent {
    let note = format!("The protection of this object is not complete: {lacking}");
    let regarding = known(object, version, managed);
    NewEvent::warning(regarding, EventReason::ProtectionIncomplete, Read, note)
}

/// A person has changed an object by a command.
pub(crate) fn changed(object: &ObjectRef, subject: &Subject<'_>, by: &ChangedBy) -> NewEvent {
    let regarding = known(object, subject.version(), subject.managed);
    NewEvent::normal(
        regarding,
        EventReason::ChangedByPerson,
        Read,
        format!("A person has changed this object: {by}"),
    )
}

/// A route that Linkerd does not use as it stands.
pub(crate) fn not_in_use(
    object: &ObjectRef,
    version: &'static str,
    managed: &ManagedObject,
    why: &str,
) -> NewEvent {
    let note = format!("Linkerd does not route by this object as it stands: {why}");
    NewEvent::warning(known(object, version, managed), EventReason::RouteNotInUse, Read, note)
}

/// Backends that do not serve a port which callers ask for.
pub(crate) fn short(
    object: &ObjectRef,
    index: &Index,
    managed: &ManagedObject,
    why: &str,
) -> NewEvent {
    NewEvent::warning(served(object, index, managed), EventReason::PortNotServed, Read, why)
}

/// Traffic stays on a backend that is declared down, or off one for longer than is declared.
pub(crate) fn declared_down(object: &ObjectRef, subject: &Subject<'_>, note: String) -> NewEvent {
    let regarding = known(object, subject.version(), subject.managed);
    NewEvent::warning(regarding, EventReason::DeclaredDown, Read, note)
}

/// The command that pins an object to a backend.
pub(crate) fn pin_command(object: &ObjectRef, backend: &str) -> String {
    let (namespace, name) = (&object.key.namespace, object.name());
    let resource = object.kind.resource();
    format!("kubectl -n {namespace} annotate --overwrite {resource} {name} {PIN}={backend}")
}

/// An object that has nothing ready, or has something ready again.
pub(crate) fn nothing_ready(
    object: &ObjectRef,
    version: &'static str,
    managed: &ManagedObject,
    begins: bool,
    note: String,
) -> NewEvent {
    let regarding = known(object, version, managed);
    match begins {
        true => NewEvent::warning(regarding, EventReason::NothingReady, Read, note),
        false => NewEvent::normal(regarding, EventReason::NothingReady, Read, note),
    }
}

/// A ServiceProfile that is not ours to write.
pub(crate) fn profile_left(
    split: &ObjectRef,
    index: &Index,
    managed: &ManagedObject,
    why: &NotOurs,
) -> NewEvent {
    let note = format!("The weights of this split do not reach Linkerd: {why}");
    let regarding = served(split, index, managed);
    NewEvent::warning(regarding, EventReason::ProfileNotWritten, WriteProfile, note)
}

/// A write of a ServiceProfile that the API server or a webhook refused.
pub(crate) fn profile_refused(
    split: &ObjectRef,
    index: &Index,
    managed: &ManagedObject,
    profile: &str,
    error: &str,
) -> NewEvent {
    let note = format!(
        "The weights of this split should be in ServiceProfile {profile}. The write failed and is tried again: {error}"
    );
    let regarding = served(split, index, managed);
    NewEvent::warning(regarding, EventReason::ProfileRefused, WriteProfile, note)
}

/// Another writer keeps replacing our overrides.
pub(crate) fn profile_undone(
    split: &ObjectRef,
    index: &Index,
    managed: &ManagedObject,
    profile: &str,
    times: u32,
) -> NewEvent {
    let note = format!(
        "What is written here to ServiceProfile {profile} was undone {times} times. It is written again, ever less often: see who writes it with kubectl get serviceprofiles.linkerd.io {profile} -o yaml --show-managed-fields"
    );
    let regarding = served(split, index, managed);
    NewEvent::warning(regarding, EventReason::ProfileUndone, WriteProfile, note)
}

/// The object of a write, as it was when the write was planned.
fn written(write: &Write) -> Regarding {
    let kind = write.object.kind.api_resource(write.version);
    Regarding::named(write.object.key.clone(), kind).at(&write.uid, &write.resource_version)
}

fn served(object: &ObjectRef, index: &Index, managed: &ManagedObject) -> Regarding {
    let version = index.served(object.kind).unwrap_or(object.kind.versions()[0]);
    known(object, version, managed)
}

fn known(object: &ObjectRef, version: &'static str, managed: &ManagedObject) -> Regarding {
    let kind = object.kind.api_resource(version);
    Regarding::named(object.key.clone(), kind).at(&managed.uid, &managed.resource_version)
}
