//! The metrics, all under `linkerd_failover_`.

use crate::telemetry::macros::{PREFIX, from_zero, label_values, metrics};
use crate::telemetry::write_result::{ResultLabel, WriteResult};
use crate::telemetry::{
    AdmissionMetrics, AlertMetrics, CertificateMetrics, DeclaredDownMetrics, GuardMetrics,
    NotificationMetrics, ObjectSamples, ProcessMetrics, ProfileMetrics, QueueMetrics,
    RemoteMetrics, WatchMetrics,
};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::time::Duration;

label_values! {
    /// Where a flip moved traffic.
    enum FlipTarget {
        Primary = "primary",
        Fallback = "fallback",
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FlipLabel {
    to: FlipTarget,
}

label_values! {
    /// The step of a flip that has just ended; each begins with the end of the one before.
    pub(crate) enum FlipStage {
        /// From the event, as it is read from the watch, until the index has it.
        Indexed = "indexed",
        /// The object is taken from the work queue.
        Dequeued = "dequeued",
        /// It is decided, and nothing stands before its write.
        Decided = "decided",
        /// The request is made, with its patch.
        Patched = "patched",
        /// The connection has taken the request.
        Sent = "sent",
        /// The answer of the API server is read.
        Acknowledged = "acknowledged",
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StageLabel {
    stage: FlipStage,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BuildLabel {
    version: &'static str,
}

fn build_info() -> Family<BuildLabel, Gauge> {
    let info = Family::<BuildLabel, Gauge>::default();
    info.get_or_create(&BuildLabel { version: env!("CARGO_PKG_VERSION") }).set(1);
    info
}

metrics! {
    /// Every metric of the process.
    pub struct Metrics {
        flips: Family<FlipLabel, Counter> =
            "flips",
            "Moves of traffic, by where it went"
            with from_zero(FlipTarget::ALL.iter().map(|to| FlipLabel { to: *to }));
        flip_seconds: Histogram =
            "flip" in Seconds,
            "From the first sign that an object has to be written until the API server has it"
            with Histogram::new(exponential_buckets(0.000_5, 2.0, 15));
        flip_stage_seconds: Family<StageLabel, Histogram> =
            "flip_stage" in Seconds,
            "How long each step of a flip took, of the write that Linkerd reads: until the event is indexed, the object dequeued, decided, the request patched together, sent, and acknowledged"
            with Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_01, 2.0, 20)));
        writes: Family<ResultLabel, Counter> =
            "writes",
            "Writes of weights by result"
            with from_zero(ResultLabel::all());
        pub(crate) retries: Counter =
            "write_retries",
            "Writes of weights and of ServiceProfiles that were tried again after the one before had failed";
        pub(crate) conflicts: Counter =
            "write_conflicts",
            "Writes of weights and of ServiceProfiles that were not made because another writer had changed the object meanwhile";
        pub(crate) managed: Gauge =
            "managed_objects",
            "Objects that this program fails over";
        pub(crate) unreadable: Gauge =
            "unreadable_objects",
            "Managed objects that cannot be read and are left as they are; their Events say why";
        pub(crate) faulty: Gauge =
            "partly_unreadable_objects",
            "Managed objects of which a part cannot be read while the rest fails over; their Events say which";
        pub(crate) not_in_use: Gauge =
            "routes_not_in_use",
            "Managed routes that Linkerd has not accepted, or whose backends it does not know";
        pub(crate) short: Gauge =
            "objects_short_of_a_port",
            "Managed objects with a backend that does not serve a port which callers ask for, as the leader sees it";
        pub(crate) nothing_ready: Gauge =
            "nothing_ready_objects",
            "Managed objects that have no ready backend, or a rule that has none; their Events say why";
        pub(crate) without_primary: Gauge =
            "routes_without_primary",
            "Managed routes with a rule that does not fail over until its author names its primaries";
        pub(crate) incomplete: Gauge =
            "protection_incomplete_objects",
            "Managed objects that lack something of the protection that is asked for until they are applied again; their Events say what";
        pub(crate) in_flight: Gauge =
            "writes_in_flight",
            "Writes of weights under way";
        pub(crate) slow: Gauge =
            "writes_slow",
            "Of these, without an answer for longer than writes take: does a webhook hang?";
        pub(crate) leader: Gauge =
            "leader",
            "1 while this replica holds the Lease";
        pub(crate) synced: Gauge =
            "caches_synced",
            "1 while all caches are synced";
        pub(crate) forbidden: Gauge =
            "forbidden_namespaces",
            "Namespaces in which nothing fails over because something in them may not be read";
        pub(crate) frozen: Gauge =
            "frozen",
            "1 while a person has frozen the cluster";
        pub(crate) braked: Gauge =
            "brake_engaged",
            "1 while the brake holds: too many objects would leave their primaries at once";
        pub(crate) brake_held: Gauge =
            "brake_held_objects",
            "Objects that should leave their primaries and that the brake holds";
        pub(crate) silent: Gauge =
            "silent",
            "1 while this standby does nothing because another replica reversed what it did";
        pub(crate) namespace_labelled: Gauge =
            "namespace_labelled",
            "1 while the program's own namespace has the label of an extension, as the leader sees it";
        pub(crate) linkerd_config_known: Gauge =
            "linkerd_config_known",
            "1 while the failfast timeout of callers' proxies is known from Linkerd's values; only read with the webhook";
        pub(crate) namespaces_known: Gauge =
            "namespaces_known",
            "1 while what namespaces ask for, by the annotation protection and the guard's label, is read; what was known stays in force otherwise";
        pub(crate) policy_routes: Gauge =
            "policy_routes",
            "Routes of policy.linkerd.io that the selector matches: they are not failed over";
        pub(crate) left_behind: Gauge =
            "objects_left_behind",
            "Objects that the selector matches no more, with weights of this program still in them";
        pub(crate) rescues: Counter =
            "rescues",
            "Moves made as a standby because the leader had not made them";
        pub(crate) confirmations: Counter =
            "confirmations",
            "LISTs of slices made past the watch before a move";
        pub(crate) undone: Counter =
            "weights_undone",
            "Times that another writer was seen to undo the same weights again";
        pub(crate) events_dropped: Counter =
            "events_dropped",
            "Events that were not published: too many were queued, or the API server did not take them";
        build: Family<BuildLabel, Gauge> =
            "build_info",
            "1, with the version of this replica"
            with build_info();
    }
    groups {
        queue: QueueMetrics,
        watches: WatchMetrics,
        admission: AdmissionMetrics,
        certificates: CertificateMetrics,
        remote: RemoteMetrics,
        profiles: ProfileMetrics,
        guard: GuardMetrics,
        declared_down: DeclaredDownMetrics,
        alerts: AlertMetrics,
        notifications: NotificationMetrics,
    }
}

impl Metrics {
    pub(crate) fn flipped(&self, on_primary: bool) {
        let to = if on_primary { FlipTarget::Primary } else { FlipTarget::Fallback };
        self.flips.get_or_create(&FlipLabel { to }).inc();
    }

    /// A step of a flip took so long.
    pub(crate) fn observe_stage(&self, stage: FlipStage, took: Duration) {
        let stage = self.flip_stage_seconds.get_or_create(&StageLabel { stage });
        stage.observe(took.as_secs_f64());
    }

    /// A write of weights succeeded, so long after its object was enqueued.
    pub(crate) fn wrote(&self, took: Duration) {
        self.count_write(WriteResult::Ok);
        self.flip_seconds.observe(took.as_secs_f64());
    }

    /// Any other end of a write, or a write that moves no traffic.
    pub(crate) fn count_write(&self, result: WriteResult) {
        if result == WriteResult::Conflict {
            self.conflicts.inc();
        }
        self.writes.get_or_create(&ResultLabel { result }).inc();
    }

    /// The text that Prometheus scrapes, without the managed objects.
    pub fn encode(&self) -> String {
        self.encode_with(None)
    }

    /// The text that Prometheus scrapes.
    pub(crate) fn encode_with(&self, objects: Option<ObjectSamples>) -> String {
        let mut registry = Registry::with_prefix(PREFIX);
        self.register(&mut registry);
        if let Some(objects) = objects {
            objects.register(&mut registry);
        }
        let mut of_process = Registry::default();
        ProcessMetrics.register(&mut of_process);
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode_registry(&mut text, &registry)
            .and_then(|()| encode_registry(&mut text, &of_process))
            .and_then(|()| encode_eof(&mut text));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::macros::DeclaredMetric;
    use crate::telemetry::object_metrics::ObjectMetric;
    use crate::telemetry::process_metrics::ProcessMetric;
    use crate::telemetry::{
        ClosedConnection, ObjectOperation, ReviewOutcome, ReviewPath, ShedReason,
    };
    use docs_pages::repository;
    use std::collections::BTreeSet;

    /// Every metric, in the order of the documentation.
    fn declared() -> Vec<DeclaredMetric> {
        let of_objects = ObjectMetric::declared().into_iter();
        let of_process = ProcessMetric::declared().into_iter();
        of_objects.chain(Metrics::declared()).chain(of_process).collect()
    }

    #[test]
    fn every_metric_can_be_scraped() {
        let metrics = Metrics::default();
        let took = Duration::from_millis(1);
        let (operation, outcome) = (ObjectOperation::Create, ReviewOutcome::Allowed);
        metrics.admission.answered(ReviewPath::Mutate, operation, outcome, took);
        metrics.admission.shed(ShedReason::Memory);
        metrics.admission.shed_connection(ClosedConnection::Idle);
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
            r#"linkerd_failover_flips_total{to="primary"} 0"#,
            r#"linkerd_failover_writes_total{result="conflict"} 0"#,
            concat!(
                r#"linkerd_failover_build_info{version=""#,
                env!("CARGO_PKG_VERSION"),
                r#""} 1"#
            ),
            "linkerd_failover_queue_length 0",
            "# TYPE process_cpu_seconds counter",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    /// What a counter has counted before its first scrape is no increase.
    #[test]
    fn what_alerts_see_increase_is_there_before_the_first_fault() {
        let text = Metrics::default().encode();
        for series in [
            r#"admissions_total{webhook="validate",operation="UPDATE",verdict="late"}"#,
            r#"admissions_total{webhook="mutate",operation="unknown",verdict="panicked"}"#,
            r#"admissions_shed_total{why="requests"}"#,
            r#"notifications_total{type="failover",result="refused"}"#,
            r#"notifications_total{type="held",result="expired"}"#,
            r#"writes_total{result="failed"}"#,
            r#"service_profile_writes_total{result="throttled"}"#,
            "notifications_dropped_total",
            "events_dropped_total",
            "weights_undone_total",
            "service_profiles_undone_total",
        ] {
            let line = format!("linkerd_failover_{series} 0\n");
            assert!(text.contains(&line), "{line}\n{text}");
        }
    }

    /// A metric that the documentation names has to exist.
    #[test]
    fn documented_metrics_exist() {
        let root = repository::root();
        let mut names: Vec<_> = declared().iter().map(|metric| metric.name).collect();
        let summary = repository::SUMMARY.to_owned();
        for file in repository::pages(&root).unwrap().into_iter().chain([summary]) {
            let text = repository::read(&root, &file).unwrap();
            for (at, _) in text.match_indices("linkerd_failover_") {
                let name = &text[at + PREFIX.len() + 1..];
                let end = name.find(|c: char| !c.is_ascii_lowercase() && c != '_');
                let name = &name[..end.unwrap_or(name.len())];
                let known = |known: &&str| {
                    // A prefix of several, or one with the suffix of its type.
                    known.starts_with(name)
                        || ["_total", "_seconds"].iter().any(|end| name == format!("{known}{end}"))
                };
                assert!(names.iter().any(known), "{file}: {name} is no metric, of {names:?}");
            }
        }
        names.sort_unstable();
        let mut distinct = names.clone();
        distinct.dedup();
        assert_eq!(names, distinct, "one meaning a name");
    }

    /// A metric that an alert, the dashboard or the runbook asks for has to be served by that name.
    #[test]
    fn what_alerts_and_the_dashboard_ask_for_is_declared() {
        let samples = |metric: &DeclaredMetric| {
            let name = metric.scraped_name();
            match metric.kind() {
                "histogram" => {
                    ["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")).to_vec()
                }
                _ => vec![name],
            }
        };
        let declared: BTreeSet<String> = declared().iter().flat_map(samples).collect();
        for (file, text) in [
            ("rules.yaml", include_str!("../../charts/linkerd-failover/files/rules.yaml")),
            ("dashboard.json", include_str!("../../charts/linkerd-failover/files/dashboard.json")),
            ("rules.test.yaml", include_str!("../../tests/fixtures/rules.test.yaml")),
        ] {
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            let tokens = text.split(|c| !is_name(c));
            let asked = |word: &&str| {
                word.starts_with(&format!("{PREFIX}_")) || word.starts_with("process_")
            };
            let mut asked = tokens.filter(asked).peekable();
            assert!(asked.peek().is_some(), "{file}");
            asked.for_each(|name| assert!(declared.contains(name), "{file}: {name}"));
        }
    }

    /// The table in docs/metrics.md is what the structs declare.
    #[test]
    fn every_metric_is_documented_as_it_is_declared() {
        let documented = include_str!("../../docs/metrics.md").lines();
        let documented: Vec<_> = documented.filter(|line| line.starts_with("| `")).collect();
        let row = |metric: &DeclaredMetric| {
            format!("| `{}` | {} | {} |", metric.scraped_name(), metric.kind(), metric.help)
        };
        let declared: Vec<_> = declared().iter().map(row).collect();
        assert_eq!(
            documented,
            declared,
            "docs/metrics.md needs these rows:\n{}",
            declared.join("\n")
        );
    }
}
