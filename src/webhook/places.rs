//! The places of requests under way, and who loses one to a new request.
//!
//! A request whose body has not arrived waits for its client. Where all places are taken, one of these
//! loses its own, by the rule that evicts connections: the client with the most pays. So clients that
//! dawdle push each other out, and an API server's reviews, which arrive in one piece, are answered.

use crate::webhook::eviction::{Candidate, to_evict, with_leaving};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The places of all requests.
pub(crate) struct Places {
    limit: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    requests: HashMap<u64, Occupant>,
}

struct Occupant {
    client: IpAddr,
    since: Instant,
    /// Its body has not arrived.
    waits: bool,
    lost: CancellationToken,
}

/// The place of one request, until dropped.
pub(crate) struct Place {
    id: u64,
    all: Arc<Places>,
    /// Cancelled when a new request gets it.
    pub lost: CancellationToken,
}

impl Places {
    /// So many, all of them free.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, taken: Mutex::default() })
    }

    /// A place for a request of this client; none where all are taken by requests whose bodies have
    /// arrived.
    pub(crate) fn take(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let mut taken = self.taken();
        if taken.requests.len() >= self.limit {
            let is_full = taken.requests.len() >= with_leaving(self.limit);
            let loser = if is_full { None } else { to_evict(&taken.waiting()) };
            taken.requests.get(&loser?)?.lost.cancel();
        }
        let id = taken.next;
        taken.next += 1;
        let lost = CancellationToken::new();
        let since = Instant::now();
        let occupant = Occupant { client, since, waits: true, lost: lost.clone() };
        taken.requests.insert(id, occupant);
        Some(Place { id, all: Arc::clone(self), lost })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// The requests that may lose their place.
    fn waiting(&self) -> Vec<Candidate> {
        let waiting = self.requests.iter();
        let waiting = waiting.filter(|(_, request)| request.waits && !request.lost.is_cancelled());
        let candidate = |(id, request): (&u64, &Occupant)| Candidate {
            id: *id,
            client: request.client,
            used: false,
            since: request.since,
        };
        waiting.map(candidate).collect()
    }
}

impl Place {
    /// The body has arrived: the place cannot be lost any more.
    pub(crate) fn keep(&self) {
        if let Some(request) = self.all.taken().requests.get_mut(&self.id) {
            request.waits = false;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.taken().requests.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const API_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const SLOW: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 9, 9));

    fn taken(places: &Arc<Places>, client: IpAddr, times: usize) -> Vec<Place> {
        (0..times).filter_map(|_| places.take(client)).collect()
    }

    #[test]
    fn beyond_the_limit_the_request_that_has_waited_longest_loses_its_place() {
        let places = Places::new(4);
        let slow = taken(&places, SLOW, 4);
        let new = places.take(SLOW).unwrap();
        let lost: Vec<_> = slow.iter().map(|place| place.lost.is_cancelled()).collect();
        assert_eq!(lost, [true, false, false, false]);
        assert!(!new.lost.is_cancelled());
    }

    #[test]
    fn who_has_the_most_waiting_requests_pays() {
        let places = Places::new(4);
        let review = places.take(API_SERVER).unwrap();
        let mut slow = taken(&places, SLOW, 3);
        for _ in 0..100 {
            slow.push(places.take(SLOW).unwrap());
            slow.retain(|place| !place.lost.is_cancelled());
        }
        assert!(!review.lost.is_cancelled());
    }

    #[test]
    fn a_request_whose_body_has_arrived_keeps_its_place() {
        let places = Places::new(2);
        let running = taken(&places, SLOW, 2);
        running.iter().for_each(Place::keep);
        assert!(places.take(API_SERVER).is_none());
        assert!(running.iter().all(|place| !place.lost.is_cancelled()));
        drop(running);
        assert!(places.take(API_SERVER).is_some());
    }

    #[test]
    fn requests_that_are_slow_to_leave_are_bounded() {
        let places = Places::new(8);
        let held = taken(&places, SLOW, 1_000);
        assert_eq!(held.len(), 10);
        drop(held);
        assert_eq!(taken(&places, SLOW, 8).len(), 8);
    }
}
