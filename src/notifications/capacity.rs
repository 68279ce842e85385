//! How much is queued at most, from when a notification is handed over until it is delivered: one bound for
//! the channel and the queue behind it.

use crate::notifications::notification::Notification;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Notifications at most.
pub(super) const MOST: usize = 4096;
/// Bytes at most: one of an object with many rules has some ten thousand.
pub(super) const MOST_BYTES: usize = 8 * 1024 * 1024;

/// What is left of the bound.
#[derive(Clone, Debug)]
pub(super) struct Capacity {
    number: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// What a notification takes of the bound, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permits: Option<[OwnedSemaphorePermit; 2]>,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { number: Arc::new(Semaphore::new(MOST)), bytes: Arc::new(Semaphore::new(MOST_BYTES)) }
    }
}

impl Capacity {
    /// A place for this notification; none where too many are queued, or too large ones.
    pub(super) fn take(&self, notification: &Notification) -> Option<Place> {
        let number = self.number.clone().try_acquire_owned().ok()?;
        let size = u32::try_from(notification.size()).ok()?;
        let bytes = self.bytes.clone().try_acquire_many_owned(size).ok()?;
        Some(Place { _permits: Some([number, bytes]) })
    }
}

impl Place {
    /// Beyond every bound.
    #[cfg(test)]
    pub(super) fn unbounded() -> Self {
        Self { _permits: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifications::notification::tests::failover;

    #[test]
    fn there_is_room_for_so_many_and_a_place_is_given_back_when_it_is_dropped() {
        let (capacity, one) = (Capacity::default(), failover("web", 1));
        let mut places: Vec<Place> = (0..MOST).map(|_| capacity.take(&one).unwrap()).collect();
        assert!(capacity.take(&one).is_none());
        places.pop();
        assert!(capacity.take(&one).is_some());
    }

    /// The texts of an object are its author's to choose.
    #[test]
    fn the_bytes_of_all_are_bounded_whatever_stands_in_them() {
        let (capacity, mut large) = (Capacity::default(), failover("web", 1));
        large.data.message = "a".repeat(100_000);
        let places: Vec<Place> = std::iter::from_fn(|| capacity.take(&large)).collect();
        assert_eq!(places.len(), MOST_BYTES / large.size());
        assert!(capacity.take(&failover("web", 1)).is_some(), "a small one still has room");
        large.data.message = "a".repeat(2 * MOST_BYTES);
        assert!(Capacity::default().take(&large).is_none());
    }
}
