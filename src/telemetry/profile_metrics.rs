//! The metrics of the ServiceProfiles that are written here.

use crate::telemetry::macros::{from_zero, metrics};
use crate::telemetry::write_result::{ResultLabel, WriteResult};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use std::time::Duration;

metrics! {
    /// Everything about ServiceProfiles.
    pub(crate) struct ProfileMetrics {
        writes: Family<ResultLabel, Counter> =
            "service_profile_writes",
            "Writes of ServiceProfiles by result"
            with from_zero(ResultLabel::all());
        seconds: Histogram =
            "service_profile" in Seconds,
            "From the first sign that a split has to be written until the API server has its ServiceProfile"
            with Histogram::new(exponential_buckets(0.000_5, 2.0, 15));
        pub undone: Counter =
            "service_profiles_undone",
            "Times that another writer was seen to undo the same ServiceProfile again";
    }
}

impl ProfileMetrics {
    /// A write of weights into a profile succeeded.
    pub(crate) fn wrote(&self, took: Duration) {
        self.count(WriteResult::Ok);
        self.seconds.observe(took.as_secs_f64());
    }

    /// Any other end of a write.
    pub(crate) fn count(&self, result: WriteResult) {
        self.writes.get_or_create(&ResultLabel { result }).inc();
    }
}
