//! The index of a backend in its set.

/// The index of a backend in its set, in the author's order. Tiers, entries of a list and places of
/// other sets are numbers of another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendIndex(usize);

impl BackendIndex {
    /// The index of the backend at this place of [`Intent::backends`](crate::engine::Intent::backends).
    pub fn new(place: usize) -> Self {
        Self(place)
    }

    /// Its place in the author's order.
    pub(crate) fn place(self) -> usize {
        self.0
    }

    /// The indices of this many backends.
    pub(crate) fn all(backends: usize) -> impl DoubleEndedIterator<Item = Self> {
        (0..backends).map(Self)
    }

    /// The backend's entry of a list that has one for each; none where it is missing.
    pub fn of<T>(self, each: &[T]) -> Option<&T> {
        each.get(self.0)
    }

    /// The same, mutable.
    pub(crate) fn of_mut<T>(self, each: &mut [T]) -> Option<&mut T> {
        each.get_mut(self.0)
    }
}

/// Tests name backends by their numbers.
#[cfg(test)]
impl PartialEq<usize> for BackendIndex {
    fn eq(&self, other: &usize) -> bool {
        self.0 == *other
    }
}

/// The indices at these places.
#[cfg(test)]
pub(crate) fn at(places: &[usize]) -> Vec<BackendIndex> {
    places.iter().copied().map(BackendIndex).collect()
}
