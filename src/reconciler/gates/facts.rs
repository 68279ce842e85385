//! The first gate: whether enough is known of an object to decide anything. Not known is not down.

use crate::reconciler::context::{ReconcileRequest, Subject};
use crate::reconciler::gates::brake::TrafficPosition;
use crate::reconciler::gates::stop::{Gate, ProfileWork, Stop, StopReason};

/// Passes a managed object whose facts are whole.
pub(crate) fn check<'a>(request: &ReconcileRequest<'a>) -> Gate<Subject<'a>> {
    let ReconcileRequest { index, object, .. } = *request;
    let undecided = |reason| Stop::new(reason).at(TrafficPosition::Undecided);
    // What is known of the object may be old while its kind is listed, which brings it back here.
    if !index.synced.objects[object.kind as usize] {
        return Err(undecided(StopReason::NotSynced));
    }
    let hidden = index.forbidden.has(object.namespace());
    match request.subject() {
        Some(_) if hidden => Err(undecided(StopReason::Hidden)),
        Some(subject) => Ok(subject),
        None => {
            let position = if hidden { TrafficPosition::Undecided } else { TrafficPosition::Gone };
            Err(Stop::new(StopReason::Absent).at(position).with_profile(ProfileWork::Restore))
        }
    }
}
