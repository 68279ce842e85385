//! The first gate: whether enough is known of an object to decide anything. Not known is not down.

use crate::index::resource::WatchedResource;
use crate::reconciler::context::{ReconcileRequest, Subject};
use crate::reconciler::gates::brake::TrafficPosition;
use crate::reconciler::gates::stop::{Gate, ProfileWork, Stop, StopReason};

/// Passes a managed object whose facts are complete.
pub(crate) fn check<'a>(request: &ReconcileRequest<'a>) -> Gate<Subject<'a>> {
    let ReconcileRequest { index, object, .. } = *request;
    let undecided = |reason| Stop::new(reason).at(TrafficPosition::Undecided);
    // What is known of the object may be old while its kind is listed, which brings it back here.
    if !index.synced.has(WatchedResource::Objects(object.kind)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Defaults, Now};
    use crate::index::change::Noticed;
    use crate::index::managed_object::ManagedObject;
    use crate::index::store::Index;
    use crate::index::synced::Synced;
    use crate::kinds::{Kind, ObjectKey, ObjectRef};
    use serde_json::json;

    fn split() -> ObjectRef {
        ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", "web"))
    }

    fn synced() -> Index {
        let mut index = Index::default();
        index.synced = Synced::ALL;
        index
    }

    fn with_split() -> Index {
        let object = json!({
            "metadata": {"name": "web", "namespace": "ns", "uid": "u", "resourceVersion": "1"},
            "spec": {"service": "web", "backends": [{"service": "web", "weight": 1}]},
        });
        let object = serde_json::from_value(object).unwrap();
        let managed = ManagedObject::read(Kind::TrafficSplit, &object, &Defaults::default());
        let mut index = synced();
        index.set_object(split(), managed);
        index
    }

    fn stop(index: &Index) -> Option<Stop> {
        let (object, noticed, now) = (&split(), Noticed::now(), Now::default());
        check(&ReconcileRequest { index, object, noticed, now, leads: true }).err()
    }

    #[test]
    fn only_a_managed_object_whose_facts_are_whole_passes() {
        let mut index = with_split();
        assert_eq!(stop(&index), None);
        index.forbidden.note("ns", WatchedResource::Services, true);
        let undecided = |reason| Some(Stop::new(reason).at(TrafficPosition::Undecided));
        assert_eq!(stop(&index), undecided(StopReason::Hidden));
        index.synced.set(WatchedResource::Objects(Kind::TrafficSplit), false);
        assert_eq!(stop(&index), undecided(StopReason::NotSynced));
    }

    #[test]
    fn an_object_that_is_gone_is_forgotten_and_what_may_not_be_read_is_not_gone() {
        let mut index = synced();
        let stop_of = |index: &Index| {
            let stop = stop(index).unwrap();
            (stop.reason, stop.position, stop.profile)
        };
        let absent = |position| (StopReason::Absent, Some(position), ProfileWork::Restore);
        assert_eq!(stop_of(&index), absent(TrafficPosition::Gone));
        index.forbidden.note("ns", WatchedResource::Services, true);
        assert_eq!(stop_of(&index), absent(TrafficPosition::Undecided));
    }
}
