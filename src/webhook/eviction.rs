//! Which connection, or which place of a request, is taken from a client for another one.
//!
//! The client address with the most idle connections pays. Of these, those that never carried a request
//! go first, oldest first, then the one that has been idle for longest. So an API server that shares its
//! address with a flood keeps the connection that it uses while the flood has unused ones, and from
//! another address it loses none while the flood has more.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

/// A connection without a request under way, or a request that waits for its client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub id: u64,
    pub client: IpAddr,
    /// Whether it ever carried a request.
    pub used: bool,
    /// When its last request ended, or when it was accepted.
    pub since: Instant,
}

/// How many there may be where `limit` are allowed: those that are evicted take a moment to leave, in which
/// others may come.
pub(crate) fn with_leaving(limit: usize) -> usize {
    limit + limit.div_ceil(4)
}

/// How many each client has.
pub(crate) fn count_by_client(clients: impl Iterator<Item = IpAddr>) -> HashMap<IpAddr, usize> {
    let mut by_client = HashMap::new();
    for client in clients {
        *by_client.entry(client).or_default() += 1;
    }
    by_client
}

/// The one to evict; none of none.
pub(crate) fn to_evict(idle: &[Candidate]) -> Option<u64> {
    let by_client = count_by_client(idle.iter().map(|connection| connection.client));
    let of_client = |connection: &Candidate| by_client.get(&connection.client).copied();
    let most = by_client.values().max().copied();
    // Of clients that have equally many, too, an unused connection goes first.
    let candidates = idle.iter().filter(|connection| of_client(connection) == most);
    candidates.min_by_key(|c| (c.used, c.since, c.id)).map(|connection| connection.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const API_SERVER: [u8; 4] = [10, 0, 0, 1];
    const FLOOD: [u8; 4] = [10, 9, 9, 9];

    fn idle(id: u64, client: [u8; 4], used: bool, since: Instant) -> Candidate {
        Candidate { id, client: client.into(), used, since }
    }

    /// What is evicted, one after the other, until nothing is idle.
    fn order(mut connections: Vec<Candidate>) -> Vec<u64> {
        let mut order = vec![];
        while let Some(id) = to_evict(&connections) {
            order.push(id);
            connections.retain(|connection| connection.id != id);
        }
        order
    }

    /// Instants a second apart.
    fn times() -> impl Fn(u64) -> Instant {
        let start = Instant::now();
        move |seconds| start + Duration::from_secs(seconds)
    }

    #[test]
    fn nothing_is_evicted_where_nothing_is_idle() {
        assert_eq!(to_evict(&[]), None);
    }

    #[test]
    fn of_one_client_the_unused_go_first_then_the_longest_idle() {
        let at = times();
        let connections = vec![
            idle(0, API_SERVER, true, at(1)),
            idle(1, API_SERVER, true, at(0)),
            idle(2, API_SERVER, false, at(3)),
            idle(3, API_SERVER, false, at(2)),
        ];
        assert_eq!(order(connections), [3, 2, 1, 0]);
    }

    #[test]
    fn the_client_with_the_most_idle_connections_pays_though_it_has_used_them() {
        let at = times();
        let mut connections = vec![
            idle(0, API_SERVER, true, at(0)),
            // A handshake of the API server's is under way.
            idle(1, API_SERVER, false, at(0)),
        ];
        connections.extend((2..8).map(|id| idle(id, FLOOD, true, at(id))));
        assert_eq!(order(connections)[..4], [2, 3, 4, 5]);
    }

    #[test]
    fn where_clients_have_equally_many_the_unused_go_first() {
        let at = times();
        let mut connections = vec![idle(0, API_SERVER, true, at(0))];
        connections.extend((1..100_u8).map(|n| idle(n.into(), [10, 1, 0, n], false, at(n.into()))));
        let order = order(connections);
        assert_eq!(order.last(), Some(&0), "{order:?}");
    }

    #[test]
    fn connections_accepted_at_one_instant_go_in_the_order_of_their_arrival() {
        let at = times();
        let connections = (0..4).map(|id| idle(id, FLOOD, false, at(0))).rev().collect();
        assert_eq!(order(connections), [0, 1, 2, 3]);
    }
}
