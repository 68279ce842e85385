//! The open connections, and which of them is evicted for a new one.
//!
//! An API server keeps one connection and sends every review over it; when it has to open another
//! one it does not wait. So a new connection is never queued: beyond the limit an idle one is evicted,
//! with HTTP/2's GOAWAY where it has carried requests, which costs its client nothing. A client that
//! opens silent connections thus evicts its own.

use crate::telemetry::{ClosedConnection, Metrics};
use crate::webhook::eviction::{Candidate, count_by_client, to_evict, with_leaving};
use std::collections::HashMap;
use std::net::IpAddr;
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
    client: IpAddr,
    requests: usize,
    used: bool,
    /// When its last request ended, or when it was accepted.
    idle_since: Instant,
    /// It is shut down for a change of the TLS settings: no new connection waits for its slot.
    draining: bool,
    shutdown: CancellationToken,
    close: CancellationToken,
}

/// One open connection, until dropped.
#[derive(Clone)]
pub(crate) struct Connection {
    slot: Arc<ConnectionSlot>,
    /// Cancelled when it has to shut down: it is evicted, or drained.
    pub shutdown: CancellationToken,
    /// Cancelled when there is no time left for it to drain.
    pub close: CancellationToken,
}

struct ConnectionSlot {
    id: u64,
    all: Arc<Connections>,
}

/// A request under way, until dropped.
pub(crate) struct ActiveRequest(Connection);

impl Connections {
    /// No connection is open; `stop` drains all that will be.
    pub(crate) fn new(limit: usize, metrics: Arc<Metrics>, stop: CancellationToken) -> Self {
        Self { limit, metrics, stop, open: Mutex::default() }
    }

    /// Accepts a connection of a client; none where it has to be closed at once.
    pub(crate) fn accept(self: &Arc<Self>, client: IpAddr) -> Option<Connection> {
        let mut open = self.open();
        let count = open.connections.len();
        if count >= self.limit {
            let has_room = match count >= with_leaving(self.limit) {
                false => open.evict(),
                true => count < 2 * self.limit && open.close_for(client),
            };
            let closed = if has_room { ClosedConnection::Idle } else { ClosedConnection::New };
            self.metrics.admission.shed_connection(closed);
            if !has_room {
                return None;
            }
        }
        let id = open.next;
        open.next += 1;
        let (shutdown, close) = (self.stop.child_token(), CancellationToken::new());
        let usage = Usage {
            client,
            requests: 0,
            used: false,
            idle_since: Instant::now(),
            draining: false,
            shutdown: shutdown.clone(),
            close: close.clone(),
        };
        open.connections.insert(id, usage);
        self.metrics.admission.connections.inc();
        let slot = Arc::new(ConnectionSlot { id, all: self.clone() });
        Some(Connection { slot, shutdown, close })
    }

    /// Drains all open connections: the TLS settings by which they were accepted have changed.
    pub(crate) fn drain_all(&self) {
        for usage in self.open().connections.values_mut() {
            if !usage.shutdown.is_cancelled() {
                usage.draining = true;
                usage.shutdown.cancel();
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Evicts an idle connection; false where there is none.
    fn evict(&self) -> bool {
        let idle = |usage: &Usage| usage.requests == 0 && !usage.shutdown.is_cancelled();
        let evicted = to_evict(&self.candidates(idle)).and_then(|id| self.connections.get(&id));
        evicted.map(|usage| usage.shutdown.cancel()).is_some()
    }

    /// Makes room where too many evicted connections are not closed yet: one of them is closed at once.
    /// False for the client that has the most connections: it is the one that does not leave.
    fn close_for(&self, client: IpAddr) -> bool {
        let by_client = count_by_client(self.connections.values().map(|usage| usage.client));
        if by_client.get(&client) >= by_client.values().max() {
            return false;
        }
        let evicted = |usage: &Usage| usage.shutdown.is_cancelled() && !usage.close.is_cancelled();
        let closed = to_evict(&self.candidates(evicted)).and_then(|id| self.connections.get(&id));
        closed.map(|usage| usage.close.cancel()).is_some() || self.evict()
    }

    fn candidates(&self, is_one: impl Fn(&Usage) -> bool) -> Vec<Candidate> {
        let candidates = self.connections.iter().filter(|(_, usage)| is_one(usage));
        let candidate = |(id, usage): (&u64, &Usage)| Candidate {
            id: *id,
            client: usage.client,
            used: usage.used,
            since: usage.idle_since,
        };
        candidates.map(candidate).collect()
    }
}

impl Connection {
    /// A request begins.
    pub(crate) fn begin_request(&self) -> ActiveRequest {
        self.with(|usage| {
            usage.requests += 1;
            usage.used = true;
        });
        ActiveRequest(self.clone())
    }

    /// Resolves when it is evicted.
    pub(crate) async fn evicted(&self) {
        self.shutdown.cancelled().await;
        if self.may_drain() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether it is drained and not evicted: no new connection waits for its slot.
    pub(crate) fn may_drain(&self) -> bool {
        let mut draining = false;
        self.with(|usage| draining = usage.draining);
        draining || self.slot.all.stop.is_cancelled()
    }

    /// Whether it ever carried a request.
    pub(crate) fn was_used(&self) -> bool {
        let mut used = false;
        self.with(|usage| used = usage.used);
        used
    }

    fn with(&self, change: impl FnOnce(&mut Usage)) {
        if let Some(usage) = self.slot.all.open().connections.get_mut(&self.slot.id) {
            change(usage);
        }
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.with(|usage| {
            usage.requests -= 1;
            usage.idle_since = Instant::now();
        });
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.all.open().connections.remove(&self.id);
        self.all.metrics.admission.connections.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 9, 9));

    fn connections(limit: usize) -> (Arc<Connections>, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::default());
        (Arc::new(Connections::new(limit, metrics.clone(), CancellationToken::new())), metrics)
    }

    fn shed(metrics: &Metrics, which: &str, times: usize) -> bool {
        let name = "linkerd_failover_webhook_connections_shed_total";
        metrics.encode().contains(&format!("{name}{{which=\"{which}\"}} {times}\n"))
    }

    #[test]
    fn beyond_the_limit_an_idle_one_is_evicted_and_one_never_used_first() {
        let (connections, metrics) = connections(3);
        let accept = || connections.accept(CLIENT).unwrap();
        let (first, second, third) = (accept(), accept(), accept());
        assert!(!first.shutdown.is_cancelled());
        drop(first.begin_request());
        let _busy = second.begin_request();
        // The second is older, and active; the first has carried a request.
        let _fourth = accept();
        let shut_down = [&first, &second, &third].map(|c| c.shutdown.is_cancelled());
        assert_eq!(shut_down, [false, false, true]);
        assert!(shed(&metrics, "quiet", 1));
    }

    #[test]
    fn a_flood_evicts_its_own_connections_and_not_the_one_that_is_used() {
        for flood in [CLIENT, OTHER] {
            let (connections, _) = connections(8);
            let used = connections.accept(CLIENT).unwrap();
            drop(used.begin_request());
            let mut silent = vec![];
            for _ in 0..1_000 {
                silent.push(connections.accept(flood).unwrap());
                silent.retain(|one| !one.shutdown.is_cancelled());
            }
            assert!(!used.shutdown.is_cancelled(), "{flood}");
        }
    }

    #[test]
    fn a_client_with_many_used_connections_makes_room_before_one_that_connects() {
        let (connections, _) = connections(8);
        let flood: Vec<_> = (0..8).filter_map(|_| connections.accept(OTHER)).collect();
        for one in &flood {
            drop(one.begin_request());
        }
        let handshake = connections.accept(CLIENT).unwrap();
        let another = connections.accept(OTHER);
        assert!(another.is_some() && !handshake.shutdown.is_cancelled());
    }

    #[test]
    fn where_all_are_active_the_new_one_is_turned_away() {
        let (connections, metrics) = connections(2);
        let open: Vec<_> = (0..2).filter_map(|_| connections.accept(CLIENT)).collect();
        let running: Vec<_> = open.iter().map(Connection::begin_request).collect();
        assert!(connections.accept(CLIENT).is_none());
        assert!(shed(&metrics, "new", 1));
        drop(running);
        assert!(connections.accept(CLIENT).is_some());
    }

    #[test]
    fn evicted_connections_that_are_slow_to_close_are_bounded() {
        let (connections, metrics) = connections(8);
        let open: Vec<_> = (0..1_000).filter_map(|_| connections.accept(CLIENT)).collect();
        assert_eq!(open.len(), 10);
        assert_eq!(metrics.admission.connections.get(), 10);
        drop(open);
        assert_eq!(metrics.admission.connections.get(), 0);
        assert!(connections.accept(CLIENT).is_some());
    }

    #[test]
    fn another_client_gets_in_where_the_evicted_ones_of_a_flood_are_slow_to_close() {
        let (connections, metrics) = connections(8);
        let flood: Vec<_> = (0..1_000).filter_map(|_| connections.accept(OTHER)).collect();
        assert_eq!(flood.len(), 10);
        let new = connections.accept(CLIENT).unwrap();
        assert!(!new.shutdown.is_cancelled());
        let closed = flood.iter().filter(|connection| connection.close.is_cancelled()).count();
        assert_eq!(closed, 1);
        assert!(connections.accept(OTHER).is_none());
        // Whoever comes, there is an end.
        let others = (0..=255).map(|n| IpAddr::from([10, 1, 1, n]));
        let others: Vec<_> = others.filter_map(|other| connections.accept(other)).collect();
        assert_eq!(others.len(), 5);
        assert_eq!(metrics.admission.connections.get(), 16);
    }

    #[test]
    fn a_change_of_settings_drains_the_open_connections_and_no_others() {
        let (connections, _) = connections(2);
        let before = connections.accept(CLIENT).unwrap();
        connections.drain_all();
        let after = connections.accept(CLIENT).unwrap();
        assert!(before.shutdown.is_cancelled() && before.may_drain());
        assert!(!after.shutdown.is_cancelled() && !after.may_drain());
    }

    #[test]
    fn a_stop_drains_all() {
        let (connections, _) = connections(2);
        let one = connections.accept(CLIENT).unwrap();
        connections.stop.cancel();
        assert!(
            one.shutdown.is_cancelled()
                && connections.accept(CLIENT).unwrap().shutdown.is_cancelled()
        );
    }
}
