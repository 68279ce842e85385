//! Objects in the order in which they are reconciled: the more urgent first, and of those alike the one
//! that came first.

use crate::index::change::{Change, Noticed};
use crate::kinds::ObjectRef;
use crate::reconciler::write::{Write, WriteKind};
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// How urgent it is to reconcile an object; the most urgent is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// The deletion of a pod is delayed until its traffic has moved.
    Deletion,
    /// Its traffic may go to a lost backend: callers' requests hang until it moves. So it is of whatever is
    /// not decided yet, but for a recovery.
    Loss,
    /// Any other change of traffic, such as a failback.
    Change,
    /// Its ServiceProfile, which callers follow, has moved; its own weights come after those of others.
    ProfileMoved,
    /// Weights that others have changed are restored.
    Correction,
    /// What is known is recorded, or a claim is given up.
    Record,
}

impl Urgency {
    pub(crate) const ALL: [Self; 6] = [
        Self::Deletion,
        Self::Loss,
        Self::Change,
        Self::ProfileMoved,
        Self::Correction,
        Self::Record,
    ];

    /// That of a write. `rescue`: every move in it only leaves backends that are down.
    pub(crate) fn of(write: &Write, rescue: bool) -> Self {
        match &write.kind {
            WriteKind::Flip(_) if rescue || write.leaves_primary() => Self::Loss,
            WriteKind::Flip(_) => Self::Change,
            WriteKind::Correction => Self::Correction,
            WriteKind::Record | WriteKind::Disclaim => Self::Record,
        }
    }

    /// Whether callers, or the deletion of a pod, wait for it.
    pub(crate) fn is_awaited(self) -> bool {
        matches!(self, Self::Deletion | Self::Loss)
    }
}

/// Why an object is to be reconciled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    pub urgency: Urgency,
    pub noticed: Noticed,
}

impl Cause {
    /// One that no event has.
    pub(crate) fn now(urgency: Urgency) -> Self {
        Self { urgency, noticed: Noticed::now() }
    }

    /// That of a change of the index.
    pub(crate) fn of(change: &Change) -> Self {
        let urgency = if change.may_be_loss { Urgency::Loss } else { Urgency::Change };
        Self { urgency, noticed: change.noticed }
    }
}

/// Objects by urgency, each once.
#[derive(Debug, Default)]
pub(crate) struct OrderedQueue {
    /// By [`Urgency`], then in the order in which they came.
    order: [BTreeMap<u64, ObjectRef>; Urgency::ALL.len()],
    places: HashMap<ObjectRef, Place>,
    last: u64,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    cause: Cause,
    number: u64,
}

impl OrderedQueue {
    /// Adds an object behind those that are as urgent. One that is queued keeps its place, unless it is
    /// more urgent now.
    pub(crate) fn enqueue(&mut self, object: ObjectRef, cause: Cause) {
        if let Some(Place { cause: before, number }) = self.places.get(&object) {
            if before.urgency <= cause.urgency {
                return;
            }
            self.order[before.urgency as usize].remove(number);
        }
        self.last += 1;
        self.order[cause.urgency as usize].insert(self.last, object.clone());
        self.places.insert(object, Place { cause, number: self.last });
    }

    /// Takes the first object out whose urgency may go on.
    pub(crate) fn take(
        &mut self,
        may_go_on: impl Fn(Urgency) -> bool,
    ) -> Option<(ObjectRef, Noticed)> {
        let there = |urgency: &Urgency| !self.order[*urgency as usize].is_empty();
        let urgency = Urgency::ALL.into_iter().filter(there).find(|urgency| may_go_on(*urgency))?;
        let (_, object) = self.order[urgency as usize].pop_first()?;
        let place = self.places.remove(&object)?;
        Some((object, place.cause.noticed))
    }

    /// Whether anything is queued that is more urgent.
    pub(crate) fn has_before(&self, urgency: Urgency) -> bool {
        self.order[..urgency as usize].iter().any(|alike| !alike.is_empty())
    }

    pub(crate) fn contains(&self, object: &ObjectRef) -> bool {
        self.places.contains_key(object)
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Since when the object waits that has waited for longest, of those that are the first of their urgency.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let firsts = self.order.iter().filter_map(|alike| alike.values().next());
        let since = |first| self.places.get(first).map(|place| place.cause.noticed.read);
        firsts.filter_map(since).min()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Kind, ObjectKey};
    use std::time::{Duration, Instant};

    fn object(name: &str) -> ObjectRef {
        ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", name))
    }

    fn order(queue: &mut OrderedQueue) -> Vec<String> {
        let taken = std::iter::from_fn(|| queue.take(|_| true));
        taken.map(|(object, _)| object.name().to_owned()).collect()
    }

    #[test]
    fn those_whose_callers_hang_go_before_failbacks_corrections_and_records() {
        let mut queue = OrderedQueue::default();
        for (name, urgency) in [
            ("record", Urgency::Record),
            ("correction", Urgency::Correction),
            ("failback", Urgency::Change),
            ("weights", Urgency::ProfileMoved),
            ("lost-1", Urgency::Loss),
            ("drained", Urgency::Deletion),
            ("lost-2", Urgency::Loss),
        ] {
            queue.enqueue(object(name), Cause::now(urgency));
        }
        assert!(queue.has_before(Urgency::Loss) && !queue.has_before(Urgency::Deletion));
        assert_eq!(
            order(&mut queue),
            ["drained", "lost-1", "lost-2", "failback", "weights", "correction", "record"]
        );
        assert!(queue.is_empty() && !queue.has_before(Urgency::Record));
    }

    #[test]
    fn an_object_is_queued_once_and_moves_forward_when_it_becomes_more_urgent() {
        let (mut queue, first) = (OrderedQueue::default(), Instant::now());
        let at = |urgency, seconds| {
            let noticed = Noticed::since(first + Duration::from_secs(seconds));
            Cause { urgency, noticed }
        };
        queue.enqueue(object("a"), at(Urgency::Record, 0));
        queue.enqueue(object("b"), at(Urgency::Loss, 1));
        queue.enqueue(object("a"), at(Urgency::Record, 2));
        let lost = at(Urgency::Loss, 3);
        queue.enqueue(object("a"), lost);
        queue.enqueue(object("a"), at(Urgency::Change, 4));
        queue.enqueue(object("c"), at(Urgency::Loss, 5));
        assert_eq!(queue.take(|_| true).unwrap().0, object("b"));
        assert_eq!(queue.take(|_| true), Some((object("a"), lost.noticed)));
        assert_eq!(order(&mut queue), ["c"]);
    }

    #[test]
    fn what_may_not_go_on_does_not_stand_before_what_may() {
        let mut queue = OrderedQueue::default();
        queue.enqueue(object("lost"), Cause::now(Urgency::Loss));
        queue.enqueue(object("moved"), Cause::now(Urgency::ProfileMoved));
        let taken = queue.take(|urgency| urgency != Urgency::Loss);
        assert_eq!(taken.unwrap().0, object("moved"));
        assert!(queue.take(|urgency| urgency != Urgency::Loss).is_none());
        assert!(queue.contains(&object("lost")));
        queue.clear();
        assert!(queue.is_empty());
    }
}
