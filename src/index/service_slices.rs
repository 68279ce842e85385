//! The slices of one Service.

use crate::index::announced_pods::AnnouncedNow;
use crate::index::endpoint_count::{self, EndpointCount};
use crate::index::endpoint_counts::EndpointCounts;
use crate::index::endpoints::SliceFacts;
use crate::kinds::ObjectKey;

/// The facts of each slice, and what has been counted of them.
#[derive(Debug, Default)]
pub(super) struct ServiceSlices {
    /// Ordered by name. Most Services have one.
    slices: Vec<(ObjectKey, SliceFacts)>,
    counts: EndpointCounts,
}

impl ServiceSlices {
    pub(super) fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &ObjectKey> {
        self.slices.iter().map(|(name, _)| name)
    }

    pub(super) fn facts(&self) -> impl Iterator<Item = &SliceFacts> + Clone {
        self.slices.iter().map(|(_, facts)| facts)
    }

    pub(super) fn get(&self, slice: &ObjectKey) -> Option<&SliceFacts> {
        self.place(slice).ok().map(|place| &self.slices[place].1)
    }

    /// Adds or replaces a slice. Returns the facts that it had.
    pub(super) fn set(&mut self, slice: ObjectKey, facts: SliceFacts) -> Option<SliceFacts> {
        self.counts.clear();
        match self.place(&slice) {
            Ok(place) => Some(std::mem::replace(&mut self.slices[place].1, facts)),
            Err(place) => {
                self.slices.reserve_exact(1);
                self.slices.insert(place, (slice, facts));
                None
            }
        }
    }

    /// Removes a slice. Returns the facts that it had.
    pub(super) fn remove(&mut self, slice: &ObjectKey) -> Option<SliceFacts> {
        self.counts.clear();
        self.place(slice).ok().map(|place| self.slices.remove(place).1)
    }

    /// The endpoints; `ports` as [`endpoint_count::count`] takes them.
    pub(super) fn count(
        &self,
        ports: &[Option<&str>],
        announced: AnnouncedNow<'_>,
    ) -> EndpointCount {
        let count = || endpoint_count::count(self.facts(), ports, |pod| announced.until(pod));
        self.counts.get(ports, announced, count)
    }

    fn place(&self, slice: &ObjectKey) -> Result<usize, usize> {
        self.slices.binary_search_by(|(name, _)| name.cmp(slice))
    }
}
