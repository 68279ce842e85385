//! The metrics, all under `linkerd_failover_`.

use crate::telemetry::write_result::{WriteLabels, WriteResult};
use crate::telemetry::{
    AdmissionMetrics, CertificateMetrics, GuardMetrics, ProfileMetrics, RemoteMetrics,
};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Direction {
    to: &'static str,
}

/// Every metric of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub(crate) admission: AdmissionMetrics,
    flips: Family<Direction, Counter>,
    flip_seconds: Histogram,
    writes: Family<WriteLabels, Counter>,
    pub(crate) managed: Gauge,
    pub(crate) unreadable: Gauge,
    pub(crate) faulty: Gauge,
    pub(crate) not_in_use: Gauge,
    pub(crate) short: Gauge,
    pub(crate) nothing_ready: Gauge,
    pub(crate) without_primary: Gauge,
    pub(crate) in_flight: Gauge,
    pub(crate) slow: Gauge,
    pub(crate) leader: Gauge,
    pub(crate) synced: Gauge,
    pub(crate) forbidden: Gauge,
    pub(crate) frozen: Gauge,
    pub(crate) braked: Gauge,
    pub(crate) brake_held: Gauge,
    pub(crate) silent: Gauge,
    pub(crate) namespace_labelled: Gauge,
    pub(crate) policy_routes: Gauge,
    pub(crate) left_behind: Gauge,
    pub(crate) rescues: Counter,
    pub(crate) confirmations: Counter,
    pub(crate) undone: Counter,
    pub(crate) events_dropped: Counter,
    pub(crate) certificates: CertificateMetrics,
    pub(crate) remote: RemoteMetrics,
    pub(crate) profiles: ProfileMetrics,
    pub(crate) guard: GuardMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("linkerd_failover"),
            admission: AdmissionMetrics::default(),
            flips: Family::default(),
            flip_seconds: Histogram::new(exponential_buckets(0.000_5, 2.0, 15)),
            writes: Family::default(),
            managed: Gauge::default(),
            unreadable: Gauge::default(),
            faulty: Gauge::default(),
            not_in_use: Gauge::default(),
            short: Gauge::default(),
            nothing_ready: Gauge::default(),
            without_primary: Gauge::default(),
            in_flight: Gauge::default(),
            slow: Gauge::default(),
            leader: Gauge::default(),
            synced: Gauge::default(),
            forbidden: Gauge::default(),
            frozen: Gauge::default(),
            braked: Gauge::default(),
            brake_held: Gauge::default(),
            silent: Gauge::default(),
            namespace_labelled: Gauge::default(),
            policy_routes: Gauge::default(),
            left_behind: Gauge::default(),
            rescues: Counter::default(),
            confirmations: Counter::default(),
            undone: Counter::default(),
            events_dropped: Counter::default(),
            certificates: CertificateMetrics::default(),
            remote: RemoteMetrics::default(),
            profiles: ProfileMetrics::default(),
            guard: GuardMetrics::default(),
        };
        metrics.registered()
    }
}

impl Metrics {
    fn registered(mut self) -> Self {
        let r = &mut self.registry;
        self.admission.register(r);
        self.guard.register(r);
        r.register("flips", "Moves of traffic, by where it went", self.flips.clone());
        r.register_with_unit(
            "flip",
            "From the first sign that an object has to be written until the API server has it",
            Unit::Seconds,
            self.flip_seconds.clone(),
        );
        r.register("writes", "Writes of weights by result", self.writes.clone());
        r.register("managed_objects", "Objects that this program fails over", self.managed.clone());
        r.register(
            "unreadable_objects",
            "Managed objects that cannot be read and are left as they are; their Events say why",
            self.unreadable.clone(),
        );
        r.register(
            "partly_unreadable_objects",
            "Managed objects of which a part cannot be read while the rest fails over; their Events \
             say which",
            self.faulty.clone(),
        );
        r.register(
            "routes_not_in_use",
            "Managed routes that Linkerd has not accepted, or whose backends it does not know",
            self.not_in_use.clone(),
        );
        r.register(
            "objects_short_of_a_port",
            "Managed objects with a backend that does not serve a port which callers ask for, by who leads",
            self.short.clone(),
        );
        r.register(
            "routes_without_primary",
            "Managed routes with a rule that does not fail over until its author names its primaries",
            self.without_primary.clone(),
        );
        r.register(
            "nothing_ready_objects",
            "Managed objects that have no ready backend, or a rule that has none; their Events say why",
            self.nothing_ready.clone(),
        );
        r.register("writes_in_flight", "Writes of weights under way", self.in_flight.clone());
        r.register(
            "writes_slow",
            "Of these, without an answer for longer than writes take: does a webhook hang?",
            self.slow.clone(),
        );
        r.register("leader", "1 while this replica holds the Lease", self.leader.clone());
        r.register("caches_synced", "1 while all caches are whole", self.synced.clone());
        r.register(
            "forbidden_namespaces",
            "Namespaces in which nothing fails over because something in them may not be read",
            self.forbidden.clone(),
        );
        r.register("frozen", "1 while a person has frozen the cluster", self.frozen.clone());
        r.register(
            "brake_engaged",
            "1 while the brake holds: too many objects would leave their primaries at once",
            self.braked.clone(),
        );
        r.register(
            "brake_held_objects",
            "Objects that should leave their primaries and that the brake holds",
            self.brake_held.clone(),
        );
        r.register(
            "silent",
            "1 while this standby does nothing because another replica reversed what it did",
            self.silent.clone(),
        );
        r.register(
            "namespace_labelled",
            "1 while the program's own namespace has the label of an extension, as the leader sees it",
            self.namespace_labelled.clone(),
        );
        r.register(
            "policy_routes",
            "Routes of policy.linkerd.io that the selector matches: they are not failed over",
            self.policy_routes.clone(),
        );
        r.register(
            "objects_left_behind",
            "Objects that the selector matches no more, with weights of this program still in them",
            self.left_behind.clone(),
        );
        r.register(
            "rescues",
            "Moves made as a standby because the leader had not made them",
            self.rescues.clone(),
        );
        r.register(
            "confirmations",
            "LISTs of slices made past the watch before a move",
            self.confirmations.clone(),
        );
        r.register(
            "weights_undone",
            "Times that another writer was seen to undo the same weights again",
            self.undone.clone(),
        );
        r.register(
            "events_dropped",
            "Events given up because too many waited",
            self.events_dropped.clone(),
        );
        self.certificates.register(r);
        self.remote.register(r);
        self.profiles.register(r);
        self
    }

    pub fn flipped(&self, on_primary: bool) {
        let to = if on_primary { "primary" } else { "fallback" };
        self.flips.get_or_create(&Direction { to }).inc();
    }

    pub fn wrote(&self, took: Duration) {
        self.writes.get_or_create(&WriteLabels { result: WriteResult::Ok }).inc();
        self.flip_seconds.observe(took.as_secs_f64());
    }

    /// A write that ended otherwise than with weights that callers wait for.
    pub(crate) fn count_write(&self, result: WriteResult) {
        self.writes.get_or_create(&WriteLabels { result }).inc();
    }

    /// The text that Prometheus scrapes.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_can_be_scraped() {
        let metrics = Metrics::default();
        metrics.admission.answered("mutate", "CREATE", "allowed", Duration::from_millis(1));
        metrics.admission.shed("memory");
        metrics.admission.shed_connection("quiet");
        metrics.flipped(false);
        let text = metrics.encode();
        for line in [
            r#"linkerd_failover_admissions_total{webhook="mutate",operation="CREATE",verdict="allowed"} 1"#,
            r#"linkerd_failover_admission_seconds_count{webhook="mutate"} 1"#,
            "linkerd_failover_admissions_in_flight 0",
            "linkerd_failover_admission_panics_total 0",
            r#"linkerd_failover_admissions_shed_total{why="memory"} 1"#,
            "linkerd_failover_webhook_connections 0",
            r#"linkerd_failover_webhook_connections_shed_total{which="quiet"} 1"#,
            r#"linkerd_failover_flips_total{to="fallback"} 1"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
