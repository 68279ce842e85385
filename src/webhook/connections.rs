//! The connections that are open, and which of them makes room for a new one.
//!
//! An API server keeps one connection and sends every review over it; when it has to open another
//! one it does not wait. So a new connection is never left in a queue: beyond the limit the one
//! that has been quiet for longest is closed, with HTTP/2's GOAWAY where it has been of use, which
//! costs its client nothing. A client that opens silent connections thus pushes out its own.

use crate::telemetry::{ClosedConnection, Metrics};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// All open connections.
pub(crate) struct Connections {
    limit: usize,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    connections: HashMap<u64, Usage>,
}

/// How a connection has been used.
struct Usage {
    running: usize,
    used: bool,
    /// When its last request ended, or when it came.
    quiet_since: Instant,
    /// It is to be replaced, and no other waits for its place.
    renewed: bool,
    leave: CancellationToken,
}

/// One open connection, until dropped.
#[derive(Clone)]
pub(crate) struct Connection {
    place: Arc<Place>,
    /// Asks it to come to its end: for another one, or because the server stops.
    pub leave: CancellationToken,
}

struct Place {
    id: u64,
    all: Arc<Connections>,
}

/// A request under way, until dropped.
pub(crate) struct Running(Connection);

impl Connections {
    /// None are open; `stop` asks all that will be to leave.
    pub(crate) fn new(limit: usize, metrics: Arc<Metrics>, stop: CancellationToken) -> Self {
        Self { limit, metrics, stop, open: Mutex::default() }
    }

    /// Takes a connection in; none where it has to be closed at once.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Connection> {
        let mut open = self.open();
        if open.connections.len() >= self.limit {
            // Those that were asked to leave take a moment, in which others may come.
            let crowded = open.connections.len() >= self.limit + self.limit.div_ceil(4);
            let quiet = quietest(&open.connections).filter(|_| !crowded);
            let Some(quiet) = quiet.and_then(|id| open.connections.get(&id)) else {
                self.metrics.admission.shed_connection(ClosedConnection::New);
                return None;
            };
            quiet.leave.cancel();
            self.metrics.admission.shed_connection(ClosedConnection::Quiet);
        }
        let id = open.next;
        open.next += 1;
        let leave = self.stop.child_token();
        let usage = Usage {
            running: 0,
            used: false,
            quiet_since: Instant::now(),
            renewed: false,
            leave: leave.clone(),
        };
        open.connections.insert(id, usage);
        self.metrics.admission.connections.inc();
        Some(Connection { place: Arc::new(Place { id, all: self.clone() }), leave })
    }

    /// Asks all that are open to leave, in their own time: what let them in has changed.
    pub(crate) fn renew(&self) {
        for usage in self.open().connections.values_mut() {
            if !usage.leave.is_cancelled() {
                usage.renewed = true;
                usage.leave.cancel();
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection that has been without a request for longest, of those not asked to leave yet.
fn quietest(connections: &HashMap<u64, Usage>) -> Option<u64> {
    let quiet = connections.iter().filter(|(_, u)| u.running == 0 && !u.leave.is_cancelled());
    quiet.min_by_key(|(id, usage)| (usage.quiet_since, **id)).map(|(id, _)| *id)
}

impl Connection {
    /// A request begins.
    pub(crate) fn begin(&self) -> Running {
        self.with(|usage| {
            usage.running += 1;
            usage.used = true;
        });
        Running(self.clone())
    }

    /// Resolves when it has to make room for another one.
    pub(crate) async fn has_to_make_room(&self) {
        self.leave.cancelled().await;
        if self.has_time() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether it was asked to leave because the server stops, or to come again: nobody waits for
    /// its place.
    pub(crate) fn has_time(&self) -> bool {
        let mut renewed = false;
        self.with(|usage| renewed = usage.renewed);
        renewed || self.place.all.stop.is_cancelled()
    }

    /// Whether it ever carried a request.
    pub(crate) fn was_used(&self) -> bool {
        let mut used = false;
        self.with(|usage| used = usage.used);
        used
    }

    fn with(&self, change: impl FnOnce(&mut Usage)) {
        if let Some(usage) = self.place.all.open().connections.get_mut(&self.place.id) {
            change(usage);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.with(|usage| {
            usage.running -= 1;
            usage.quiet_since = Instant::now();
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.open().connections.remove(&self.id);
        self.all.metrics.admission.connections.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room_for(limit: usize) -> (Arc<Connections>, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::default());
        (Arc::new(Connections::new(limit, metrics.clone(), CancellationToken::new())), metrics)
    }

    fn shed(metrics: &Metrics, which: &str, times: usize) -> bool {
        let name = "linkerd_failover_webhook_connections_shed_total";
        metrics.encode().contains(&format!("{name}{{which=\"{which}\"}} {times}\n"))
    }

    #[test]
    fn beyond_the_limit_the_one_that_was_quiet_for_longest_leaves() {
        let (connections, metrics) = room_for(3);
        let enter = || connections.enter().unwrap();
        let (first, second, third) = (enter(), enter(), enter());
        assert!(!first.leave.is_cancelled());
        drop(first.begin());
        let _busy = second.begin();
        // The second is older, and works; the first has worked since the third came.
        let _fourth = enter();
        let left = [&first, &second, &third].map(|c| c.leave.is_cancelled());
        assert_eq!(left, [false, false, true]);
        assert!(shed(&metrics, "quiet", 1));
    }

    #[test]
    fn where_all_are_at_work_the_new_one_is_turned_away() {
        let (connections, metrics) = room_for(2);
        let open: Vec<_> = (0..2).filter_map(|_| connections.enter()).collect();
        let running: Vec<_> = open.iter().map(Connection::begin).collect();
        assert!(connections.enter().is_none());
        assert!(shed(&metrics, "new", 1));
        drop(running);
        assert!(connections.enter().is_some());
    }

    #[test]
    fn those_that_are_slow_to_leave_make_a_crowd_of_bounded_size() {
        let (connections, metrics) = room_for(8);
        let open: Vec<_> = (0..1_000).filter_map(|_| connections.enter()).collect();
        assert_eq!(open.len(), 10);
        assert_eq!(metrics.admission.connections.get(), 10);
        drop(open);
        assert_eq!(metrics.admission.connections.get(), 0);
        assert!(connections.enter().is_some());
    }

    #[test]
    fn a_renewal_asks_those_that_are_open_to_leave_in_their_own_time_and_no_others() {
        let (connections, _) = room_for(2);
        let before = connections.enter().unwrap();
        connections.renew();
        let after = connections.enter().unwrap();
        assert!(before.leave.is_cancelled() && before.has_time());
        assert!(!after.leave.is_cancelled() && !after.has_time());
    }

    #[test]
    fn a_stop_asks_all_to_leave() {
        let (connections, _) = room_for(2);
        let one = connections.enter().unwrap();
        connections.stop.cancel();
        assert!(one.leave.is_cancelled() && connections.enter().unwrap().leave.is_cancelled());
    }
}
