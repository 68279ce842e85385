//! Which flips are written into the ServiceProfile first, and into the split after it.

use crate::engine::{Intent, Threshold};
use crate::reconciler::context::Subject;
use crate::reconciler::gates::stop::Wanted;

/// Whether the weights, and the state, of a split may come after its profile: whoever decides again after a
/// crash in between decides the same by the endpoints of that moment. A person, a time, a percentage, an
/// announcement or a lost port is in the state alone.
pub(crate) fn may_come_after(subject: &Subject<'_>, wanted: &Wanted) -> bool {
    let sets = subject.managed.readable();
    let left_early = wanted.plan.left_early.values().all(Vec::is_empty);
    wanted.write.flip().is_some()
        && left_early
        && wanted.plan.short_ports.is_empty()
        && sets.iter().all(|set| rests_on_present_endpoints(&set.intent))
        && sets.iter().all(|set| set.left_early().is_empty() && set.pending.is_empty())
}

fn rests_on_present_endpoints(intent: &Intent) -> bool {
    let policy = &intent.policy;
    let undelayed = policy.failover_delay.is_zero() && policy.failback_delay.is_zero();
    let unheld = !policy.manual_failback && policy.pin.is_none() && !policy.paused;
    let is_percentage = |threshold: &Threshold| matches!(threshold, Threshold::Percent(_));
    undelayed && unheld && !intent.backends.iter().any(|b| is_percentage(&b.min_ready))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Defaults;
    use crate::kinds::traffic_split;
    use serde_json::json;

    fn intent(annotation: Option<(&str, &str)>) -> Intent {
        let annotations: serde_json::Map<String, serde_json::Value> = annotation
            .into_iter()
            .map(|(name, value)| (format!("failover.linkerd.io/{name}"), json!(value)))
            .collect();
        let split = json!({
            "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
            "metadata": {"name": "web", "namespace": "ns", "annotations": annotations},
            "spec": {"service": "web", "backends": [
                {"service": "web", "weight": 1}, {"service": "web-b", "weight": 0},
            ]},
        });
        let declared = traffic_split::read(&serde_json::from_value(split).unwrap());
        Intent::parse(&declared, &Defaults::default()).unwrap().remove(0)
    }

    #[test]
    fn what_rests_on_more_than_the_present_endpoints_is_recorded_with_the_flip() {
        assert!(rests_on_present_endpoints(&intent(None)));
        assert!(rests_on_present_endpoints(&intent(Some(("min-ready", "2")))));
        for annotation in [
            ("failover-delay", "1s"),
            ("failback-delay", "1s"),
            ("failback", "manual"),
            ("pin", "web-b"),
            ("paused", "true"),
            ("min-ready", "50%"),
        ] {
            assert!(!rests_on_present_endpoints(&intent(Some(annotation))), "{annotation:?}");
        }
    }
}
