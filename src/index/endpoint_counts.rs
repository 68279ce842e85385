//! The endpoint counts of a Service, kept until one of its slices changes.
//!
//! A thousand objects may name one Service of a thousand endpoints, and each decision needs the count.

use crate::engine::SteadyTime;
use crate::index::announced_pods::AnnouncedNow;
use crate::index::endpoint_count::EndpointCount;
use std::sync::{Mutex, PoisonError};

/// The most counts that are kept for a Service, each for a list of ports: objects that name it mostly ask
/// for the same ports.
const MOST: usize = 8;

/// By the names of the asked ports. Readers of the index share it.
#[derive(Debug, Default)]
pub(super) struct EndpointCounts(Mutex<Vec<KeptCount>>);

#[derive(Debug)]
struct KeptCount {
    ports: Box<[Option<Box<str>>]>,
    counted: EndpointCount,
    /// The revision of the announced pods, and the time, that it was counted at.
    revision: u64,
    at: SteadyTime,
}

impl EndpointCounts {
    /// The count for these ports; by `count` where none is kept that is still right.
    pub(super) fn get(
        &self,
        ports: &[Option<&str>],
        announced: AnnouncedNow<'_>,
        count: impl FnOnce() -> EndpointCount,
    ) -> EndpointCount {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|kept| kept.is_of(ports));
        if let Some(right) = place.map(|place| &kept[place]).filter(|kept| kept.is_right(announced))
        {
            return right.counted.clone();
        }
        let counted = count();
        let new = KeptCount {
            ports: ports.iter().map(|port| port.map(Into::into)).collect(),
            counted: counted.clone(),
            revision: announced.revision(),
            at: announced.now,
        };
        match place {
            Some(place) => kept[place] = new,
            None if kept.len() < MOST => {
                // Most Services are asked for in one way, and there are many.
                kept.reserve_exact(1);
                kept.push(new);
            }
            None => kept[0] = new,
        }
        counted
    }

    /// Drops what is kept: a slice has changed.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl KeptCount {
    fn is_of(&self, ports: &[Option<&str>]) -> bool {
        self.ports.iter().map(Option::as_deref).eq(ports.iter().copied())
    }

    /// Whether the announced pods count as they did.
    fn is_right(&self, announced: AnnouncedNow<'_>) -> bool {
        let first_to_end = self.counted.announced.map(|announced| announced.until);
        self.revision == announced.revision()
            && self.at <= announced.now
            && first_to_end.is_none_or(|until| announced.now < until)
    }
}

#[cfg(test)]
#[path = "endpoint_counts_tests.rs"]
mod tests;
