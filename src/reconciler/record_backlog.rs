//! The objects whose records wait until nothing is in their way.

use crate::kinds::ObjectRef;
use std::collections::{HashSet, VecDeque};
use std::time::Instant;

/// Objects whose record is due, each once, in the order in which it became due. None of them is looked at
/// before its turn: what is only recorded takes no time of a flip.
#[derive(Debug, Default)]
pub(crate) struct RecordBacklog {
    line: VecDeque<(ObjectRef, Instant)>,
    in_line: HashSet<ObjectRef>,
}

impl RecordBacklog {
    /// Adds an object, unrecorded since then, behind the others, unless it waits already.
    pub(crate) fn wait(&mut self, object: &ObjectRef, since: Instant) {
        if self.in_line.insert(object.clone()) {
            self.line.push_back((object.clone(), since));
        }
    }

    /// Since when the first in the line is unrecorded.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.line.front().map(|(_, since)| *since)
    }

    /// Takes the object out that has waited for longest.
    pub(crate) fn take_next(&mut self) -> Option<ObjectRef> {
        let (next, _) = self.line.pop_front()?;
        self.in_line.remove(&next);
        Some(next)
    }

    /// Drops all of them; they are enqueued again by other ways.
    pub(crate) fn clear(&mut self) {
        self.line.clear();
        self.in_line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Kind, ObjectKey};

    #[test]
    fn records_wait_in_the_order_in_which_they_became_due_and_each_once() {
        let object = |name: &str| ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", name));
        let (mut backlog, now) = (RecordBacklog::default(), Instant::now());
        for name in ["a", "b", "a"] {
            backlog.wait(&object(name), now);
        }
        assert_eq!(backlog.oldest(), Some(now));
        let line: Vec<_> = std::iter::from_fn(|| backlog.take_next()).collect();
        assert_eq!(line, [object("a"), object("b")]);
        backlog.wait(&object("a"), now);
        backlog.clear();
        assert_eq!(backlog.take_next(), None);
        backlog.wait(&object("a"), now);
        assert_eq!(backlog.take_next(), Some(object("a")));
    }
}
