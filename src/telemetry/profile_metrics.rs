//! The metrics of the ServiceProfiles that are written here.

use crate::telemetry::write_result::{WriteLabels, WriteResult};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

/// Everything about ServiceProfiles.
#[derive(Debug)]
pub(crate) struct ProfileMetrics {
    writes: Family<WriteLabels, Counter>,
    seconds: Histogram,
    pub undone: Counter,
}

impl Default for ProfileMetrics {
    fn default() -> Self {
        Self {
            writes: Family::default(),
            seconds: Histogram::new(exponential_buckets(0.000_5, 2.0, 15)),
            undone: Counter::default(),
        }
    }
}

impl ProfileMetrics {
    pub(crate) fn register(&self, r: &mut Registry) {
        r.register(
            "service_profile_writes",
            "Writes of ServiceProfiles by result",
            self.writes.clone(),
        );
        r.register_with_unit(
            "service_profile",
            "From the first sign that a split has to be written until the API server has its \
             ServiceProfile",
            Unit::Seconds,
            self.seconds.clone(),
        );
        r.register(
            "service_profiles_undone",
            "Times that another writer was seen to undo the same ServiceProfile again",
            self.undone.clone(),
        );
    }

    /// Weights landed in a profile.
    pub(crate) fn wrote(&self, took: Duration) {
        self.count(WriteResult::Ok);
        self.seconds.observe(took.as_secs_f64());
    }

    /// Any other end of a write.
    pub(crate) fn count(&self, result: WriteResult) {
        self.writes.get_or_create(&WriteLabels { result }).inc();
    }
}
