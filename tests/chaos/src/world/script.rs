//! What is being failed over: endpoints that are lost and come back all the time, by a script of the
//! seed's.

use super::objects::{ServiceSpec, Source};
use crate::facts::Side;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// A Service gets so many ready endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Since the start.
    pub at: Duration,
    /// In which cluster.
    pub side: Side,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub service: String,
    /// How many.
    pub ready: usize,
}

/// Between two changes, in milliseconds.
const PACE: std::ops::RangeInclusive<u64> = 300..=1500;
/// Of ten Services so many may be lost at once.
const LOST_OF_TEN: usize = 4;

/// All changes of a run of this length.
pub fn script(seed: u64, services: &[ServiceSpec], length: Duration) -> Vec<Change> {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x5eed_5c21);
    let slices: Vec<&ServiceSpec> =
        services.iter().filter(|service| service.source == Source::Slice).collect();
    let mut lost = BTreeSet::new();
    let mut at = Duration::ZERO;
    let mut changes = Vec::new();
    while !slices.is_empty() {
        at += Duration::from_millis(random.u64(PACE));
        if at >= length {
            break;
        }
        let nth = random.usize(..slices.len());
        let is_lost = lost.contains(&nth);
        let may_lose = (lost.len() + 1) * 10 <= slices.len() * LOST_OF_TEN;
        let service = slices[nth];
        let ready = match random.u8(..10) {
            // Some of them, which `min-ready` notices and nobody else.
            0 | 1 => 1,
            _ if is_lost || !may_lose => service.endpoints,
            _ => 0,
        };
        if ready == 0 {
            lost.insert(nth);
        } else {
            lost.remove(&nth);
        }
        changes.push(Change {
            at,
            side: service.side,
            namespace: service.namespace.clone(),
            service: service.name.clone(),
            ready,
        });
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::objects::declarations;

    #[test]
    fn services_are_lost_and_come_back_and_most_are_there() {
        for seed in 0..20 {
            let services = declarations(seed).services;
            let changes = script(seed, &services, Duration::from_secs(600));
            assert_eq!(changes, script(seed, &services, Duration::from_secs(600)));
            assert!(changes.len() > 300, "{}", changes.len());
            assert!(changes.windows(2).all(|two| two[0].at < two[1].at));
            let mut lost = std::collections::BTreeSet::new();
            for change in &changes {
                let key = (change.side, &change.namespace, &change.service);
                if change.ready == 0 {
                    lost.insert(key)
                } else {
                    lost.remove(&key)
                };
                assert!(lost.len() * 10 <= services.len() * LOST_OF_TEN);
            }
            assert!(changes.iter().any(|change| change.ready == 0));
            assert!(changes.iter().any(|change| change.side == Side::West));
        }
    }
}
