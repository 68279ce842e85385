//! How many requests of one sender are under way: anybody with a token for the audience is one, and could
//! take the places of all others by bodies that come slowly.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Places for the requests of each sender.
#[derive(Debug)]
pub(super) struct SenderPlaces {
    of_each: usize,
    taken: Mutex<HashMap<String, usize>>,
}

/// A place, until dropped.
#[derive(Debug)]
pub(super) struct SenderPlace<'a> {
    places: &'a SenderPlaces,
    sender: String,
}

impl SenderPlaces {
    pub(super) fn new(of_each: usize) -> Self {
        Self { of_each, taken: Mutex::default() }
    }

    /// A place for a request; none where the sender has all of its own.
    pub(super) fn take(&self, sender: &str) -> Option<SenderPlace<'_>> {
        let mut taken = self.taken();
        let count = taken.entry(sender.to_owned()).or_default();
        if *count >= self.of_each {
            return None;
        }
        *count += 1;
        Some(SenderPlace { places: self, sender: sender.to_owned() })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SenderPlace<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let Some(count) = taken.get_mut(&self.sender) else { return };
        *count -= 1;
        if *count == 0 {
            taken.remove(&self.sender);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_takes_its_own_places_only_and_nothing_is_remembered_of_one_that_has_none() {
        let places = SenderPlaces::new(2);
        let (first, second) = (places.take("a"), places.take("a"));
        assert!(first.is_some() && second.is_some() && places.take("a").is_none());
        let other = places.take("b");
        assert!(other.is_some());
        drop(first);
        assert!(places.take("a").is_some());
        drop((second, other));
        assert!(places.taken().is_empty());
    }
}
