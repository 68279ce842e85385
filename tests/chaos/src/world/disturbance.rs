//! What faults take away at the moment: it decides which replica counts as reachable, and which applies
//! can be blamed on the program.

use crate::facts::Side;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many faults disturb what.
#[derive(Debug, Default)]
pub struct Disturbances {
    replicas: Mutex<BTreeMap<(usize, Side), usize>>,
    admission: AtomicUsize,
    /// Counts what begins or ends.
    changes: AtomicUsize,
    caused: Mutex<BTreeSet<u32>>,
}

/// Disturbs for as long as it lives.
#[derive(Debug)]
pub struct Disturbed {
    all: Arc<Disturbances>,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Replica(usize, Side),
    Admission,
}

impl Disturbances {
    /// A fault stands between a replica and an API server.
    pub fn replica(self: &Arc<Self>, replica: usize, side: Side) -> Disturbed {
        *lock(&self.replicas).entry((replica, side)).or_default() += 1;
        self.changes.fetch_add(1, Ordering::SeqCst);
        Disturbed { all: Arc::clone(self), what: What::Replica(replica, side) }
    }

    /// A fault stands between the API server and the webhook.
    pub fn admission(self: &Arc<Self>) -> Disturbed {
        self.admission.fetch_add(1, Ordering::SeqCst);
        self.changes.fetch_add(1, Ordering::SeqCst);
        Disturbed { all: Arc::clone(self), what: What::Admission }
    }

    /// Whether a fault stands between them.
    pub fn hits(&self, replica: usize, side: Side) -> bool {
        lock(&self.replicas).get(&(replica, side)).is_some_and(|count| *count > 0)
    }

    /// Equal before and after a request where no fault of admission was made meanwhile; none while one is.
    pub fn admission_mark(&self) -> Option<usize> {
        let mark = self.changes.load(Ordering::SeqCst);
        (self.admission.load(Ordering::SeqCst) == 0).then_some(mark)
    }

    /// The end of this process is a fault's doing.
    pub fn cause(&self, pid: u32) {
        lock(&self.caused).insert(pid);
    }

    /// Whether it is.
    pub fn is_caused(&self, pid: u32) -> bool {
        lock(&self.caused).contains(&pid)
    }
}

impl Drop for Disturbed {
    fn drop(&mut self) {
        self.all.changes.fetch_add(1, Ordering::SeqCst);
        match self.what {
            What::Replica(replica, side) => {
                if let Some(count) = lock(&self.all.replicas).get_mut(&(replica, side)) {
                    *count = count.saturating_sub(1);
                }
            }
            What::Admission => {
                self.all.admission.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_is_over_with_the_last() {
        let all = Arc::new(Disturbances::default());
        let (one, other) = (all.replica(0, Side::East), all.replica(0, Side::East));
        assert!(all.hits(0, Side::East) && !all.hits(1, Side::East) && !all.hits(0, Side::West));
        drop(one);
        assert!(all.hits(0, Side::East));
        drop(other);
        assert!(!all.hits(0, Side::East));
    }

    #[test]
    fn a_request_beside_a_fault_of_admission_is_not_counted() {
        let all = Arc::new(Disturbances::default());
        let before = all.admission_mark();
        assert!(before.is_some());
        assert_eq!(all.admission_mark(), before);
        let disturbed = all.admission();
        assert_eq!(all.admission_mark(), None);
        drop(disturbed);
        assert!(all.admission_mark().is_some() && all.admission_mark() != before);
    }
}
