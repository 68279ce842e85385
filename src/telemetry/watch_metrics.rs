//! How old what is known by each watch is.

use crate::telemetry::macros::sampled_metrics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

sampled_metrics! {
    /// Metrics of the watches.
    pub(crate) enum WatchMetric {
        Age: Gauge =
            "watch_age" in Seconds,
            "Seconds since anything was received of a watch, by resource and linked cluster (none: this one); of several for one resource the greatest";
    }
}

/// When anything was received of a watch last. The watch has a series until the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct LastReceived(Arc<Received>);

#[derive(Debug)]
struct Received {
    cluster: Box<str>,
    resource: &'static str,
    at: Mutex<Instant>,
}

impl LastReceived {
    fn new(cluster: &str, resource: &'static str) -> Self {
        let at = Mutex::new(Instant::now());
        Self(Arc::new(Received { cluster: cluster.into(), resource, at }))
    }

    /// That of a watch which nothing rests on: whoever follows it looks at intervals too.
    pub(crate) fn without_series() -> Self {
        Self::new("", "")
    }

    pub(crate) fn at(&self) -> Instant {
        *self.0.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was received just now.
    pub(crate) fn update(&self) {
        *self.0.at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// The watches that are under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct WatchMetrics(Arc<Mutex<Vec<Weak<Received>>>>);

impl WatchMetrics {
    /// A watch of this cluster begins.
    pub(crate) fn begin(&self, resource: &'static str) -> LastReceived {
        self.begin_in("", resource)
    }

    /// A watch of a linked cluster begins.
    pub(crate) fn begin_in(&self, cluster: &str, resource: &'static str) -> LastReceived {
        let began = LastReceived::new(cluster, resource);
        let mut watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|watch| watch.strong_count() > 0);
        watches.push(Arc::downgrade(&began.0));
        began
    }

    /// The greatest age of the watches of each resource of each cluster.
    fn ages(&self, now: Instant) -> BTreeMap<(Box<str>, &'static str), Duration> {
        let watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ages = BTreeMap::new();
        for watch in watches.iter().filter_map(Weak::upgrade).map(LastReceived) {
            let age = now.saturating_duration_since(watch.at());
            let of = (watch.0.cluster.clone(), watch.0.resource);
            let oldest = ages.entry(of).or_default();
            *oldest = age.max(*oldest);
        }
        ages
    }

    /// Puts them into a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }

    #[cfg(test)]
    pub(crate) fn declared() -> Vec<crate::telemetry::macros::DeclaredMetric> {
        WatchMetric::declared()
    }
}

impl Collector for WatchMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut encoder = WatchMetric::Age.begin(&mut encoder)?;
        for ((cluster, resource), age) in self.ages(Instant::now()) {
            let labels = [("linked_cluster", &*cluster), ("resource", resource)];
            encoder.encode_family(&labels)?.encode_gauge(&age.as_secs_f64())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_watch_of_a_resource_counts_while_it_is_under_way() {
        let metrics = WatchMetrics::default();
        let (one, other) = (metrics.begin("services"), metrics.begin("services"));
        let remote = metrics.begin_in("west", "services");
        let at = |seconds| Instant::now() + Duration::from_secs(seconds);
        for (watch, at) in [(&one, at(0)), (&other, at(100)), (&remote, at(60))] {
            *watch.0.at.lock().unwrap() = at;
        }
        let ages = |now| -> Vec<_> {
            let ages = metrics.ages(now).into_iter();
            ages.map(|((cluster, _), age)| (cluster.into_string(), age.as_secs())).collect()
        };
        let now = at(100);
        assert_eq!(ages(now), [(String::new(), 100), ("west".to_owned(), 40)]);
        drop((one, remote));
        assert_eq!(ages(now), [(String::new(), 0)], "that of a watch that has ended is gone");
    }
}
