//! Metrics of the managed objects: how many are where, and, object by object, where each is.

use crate::telemetry::macros::{label_values, sampled_metrics};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet};
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;

/// Of more objects only sums are served: each has three series, and one a backend.
pub(crate) const MOST_OBJECTS: usize = 10_000;

label_values! {
    /// What the traffic of an object is on. Of several sets the last in this order counts.
    #[derive(PartialOrd, Ord)]
    pub(crate) enum TrafficOn {
        /// A primary has it.
        Primary = "primary",
        /// Fallbacks have it.
        Fallback = "fallback",
        /// It stays where it is: nothing is ready, or the cluster is frozen, or the brake holds.
        Held = "held",
        /// A person has pinned it.
        Pinned = "pinned",
        /// A person has paused the object.
        Paused = "paused",
        /// The object cannot be read, or its kind is not served.
        Unreadable = "unreadable",
    }
}

/// An object at the time of a scrape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ObjectSample {
    pub namespace: Arc<str>,
    pub kind: &'static str,
    pub name: Arc<str>,
    pub on: TrafficOn,
    /// None where it cannot be read.
    pub on_primary: Option<bool>,
    /// Since when it is there, in seconds since the epoch, where that is recorded.
    pub since: Option<i64>,
    /// The ready fallbacks of the set that has fewest; none where that is not known.
    pub fallbacks_ready: Option<usize>,
    /// Its backends, and whether each gets traffic.
    pub backends: Vec<(String, bool)>,
}

impl ObjectSample {
    /// A failover would have nowhere to go, and none is under way.
    fn lacks_fallback(&self) -> bool {
        let may_fail_over = !matches!(self.on, TrafficOn::Held | TrafficOn::Unreadable);
        may_fail_over && self.on_primary == Some(true) && self.fallbacks_ready == Some(0)
    }

    fn labels(&self) -> [(&'static str, &str); 3] {
        [("namespace", &self.namespace), ("kind", self.kind), ("name", &self.name)]
    }
}

sampled_metrics! {
    /// Metrics of the managed objects.
    pub(crate) enum ObjectMetric {
        Objects: Gauge =
            "objects",
            "Managed objects by where their traffic is: primary, fallback, held (nothing is ready, or a move is due and not made), pinned, paused, unreadable";
        WithoutReadyFallback: Gauge =
            "objects_without_ready_fallback",
            "Managed objects that are on their primaries and have no ready fallback: a failover would have nowhere to go";
        OldestFallback: Gauge =
            "oldest_fallback_timestamp" in Seconds,
            "Since when the object is on a fallback that has been there for longest, since the epoch; none while no object is";
        ByObject: Gauge =
            "per_object_metrics",
            "1 while metrics object by object are served; 0 where they are switched off, or there are more than 10,000 objects";
        OnPrimary: Gauge =
            "object_on_primary",
            "1 while the traffic of an object is on its primaries, of a route that of every rule";
        Since: Gauge =
            "object_since_timestamp" in Seconds,
            "Since when the traffic of an object is where it is, since the epoch";
        FallbacksReady: Gauge =
            "object_fallbacks_ready",
            "Ready fallbacks of an object, of the rule that has fewest; none where that is not known, or there are no fallbacks";
        On: Gauge =
            "object_on",
            "1 for an object that a person or a fault keeps where it is: held, pinned, paused, unreadable; on a primary or a fallback it has none";
        Active: Gauge =
            "object_active",
            "1 for a backend of an object that gets traffic, 0 for one that gets none, or no more than the share of a warm standby";
    }
}

/// The samples of one scrape.
#[derive(Debug)]
pub(crate) struct ObjectSamples {
    pub objects: Vec<ObjectSample>,
    /// Whether they are served object by object, as far as they are not too many.
    pub by_object: bool,
}

impl ObjectSamples {
    /// Puts them into a registry.
    pub(crate) fn register(self, registry: &mut Registry) {
        registry.register_collector(Box::new(self));
    }

    fn serves_each(&self) -> bool {
        self.by_object && self.objects.len() <= MOST_OBJECTS
    }

    fn count(&self, counts: impl Fn(&ObjectSample) -> bool) -> usize {
        self.objects.iter().filter(|object| counts(object)).count()
    }

    /// Since when the object is on a fallback that has been there for longest.
    fn oldest_fallback(&self) -> Option<i64> {
        let on_fallback = self.objects.iter().filter(|object| object.on == TrafficOn::Fallback);
        on_fallback.filter_map(|object| object.since).min()
    }

    fn encode_sums(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let by_on = TrafficOn::ALL.iter().map(|on| {
            let count = self.count(|object| object.on == *on);
            ([("on", on.as_str())], count)
        });
        gauges(ObjectMetric::Objects, encoder, by_on)?;
        let lacking = self.count(ObjectSample::lacks_fallback);
        gauge(ObjectMetric::WithoutReadyFallback, encoder, lacking)?;
        if let Some(oldest) = self.oldest_fallback() {
            gauge(ObjectMetric::OldestFallback, encoder, oldest)?;
        }
        gauge(ObjectMetric::ByObject, encoder, u32::from(self.serves_each()))
    }

    fn encode_each(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let objects = || self.objects.iter();
        let on_primary = objects().filter_map(|o| Some((o.labels(), u32::from(o.on_primary?))));
        gauges(ObjectMetric::OnPrimary, encoder, on_primary)?;
        let since = objects().filter_map(|o| Some((o.labels(), o.since?)));
        gauges(ObjectMetric::Since, encoder, since)?;
        let fallbacks_ready = objects().filter_map(|o| Some((o.labels(), o.fallbacks_ready?)));
        gauges(ObjectMetric::FallbacksReady, encoder, fallbacks_ready)?;
        let kept = objects().filter(|o| o.on > TrafficOn::Fallback).map(|object| {
            let [namespace, kind, name] = object.labels();
            ([namespace, kind, name, ("on", object.on.as_str())], 1)
        });
        gauges(ObjectMetric::On, encoder, kept)?;
        let active = objects().flat_map(|object| {
            let [namespace, kind, name] = object.labels();
            object.backends.iter().map(move |(backend, active)| {
                let labels = [namespace, kind, name, ("backend", backend.as_str())];
                (labels, u32::from(*active))
            })
        });
        gauges(ObjectMetric::Active, encoder, active)
    }
}

impl Collector for ObjectSamples {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_sums(&mut encoder)?;
        match self.serves_each() {
            true => self.encode_each(&mut encoder),
            false => Ok(()),
        }
    }
}

fn gauge(
    metric: ObjectMetric,
    encoder: &mut DescriptorEncoder<'_>,
    value: impl EncodeGaugeValue,
) -> fmt::Result {
    metric.begin(encoder)?.encode_gauge(&value)
}

fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
    metric: ObjectMetric,
    encoder: &mut DescriptorEncoder<'_>,
    samples: impl Iterator<Item = (L, V)>,
) -> fmt::Result {
    let mut encoder = metric.begin(encoder)?;
    for (labels, value) in samples {
        encoder.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    fn sample(name: &str, on: TrafficOn) -> ObjectSample {
        ObjectSample {
            namespace: "emojivoto".into(),
            kind: "TrafficSplit",
            name: name.into(),
            on,
            on_primary: Some(on == TrafficOn::Primary),
            since: Some(1_700_000_000),
            fallbacks_ready: Some(1),
            backends: vec![("web".into(), on == TrafficOn::Primary), ("west".into(), false)],
        }
    }

    fn encoded(objects: Vec<ObjectSample>, by_object: bool) -> String {
        let mut registry = Registry::with_prefix("linkerd_failover");
        ObjectSamples { objects, by_object }.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    /// The samples, without the prefix of all.
    fn samples(text: &str) -> Vec<&str> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.strip_prefix("linkerd_failover_").unwrap()).collect()
    }

    #[test]
    fn each_object_has_its_series_beside_the_sums() {
        let on_fallback = ObjectSample {
            since: Some(1_600_000_000),
            fallbacks_ready: Some(0),
            backends: vec![("a\"b".into(), true)],
            ..sample("left", TrafficOn::Fallback)
        };
        let unreadable = ObjectSample {
            on_primary: None,
            since: None,
            fallbacks_ready: None,
            backends: vec![],
            ..sample("garbled", TrafficOn::Unreadable)
        };
        let lacking =
            ObjectSample { fallbacks_ready: Some(0), ..sample("alone", TrafficOn::Primary) };
        let text = encoded(vec![on_fallback, unreadable, lacking], true);
        assert_eq!(
            samples(&text),
            [
                r#"objects{on="primary"} 1"#,
                r#"objects{on="fallback"} 1"#,
                r#"objects{on="held"} 0"#,
                r#"objects{on="pinned"} 0"#,
                r#"objects{on="paused"} 0"#,
                r#"objects{on="unreadable"} 1"#,
                "objects_without_ready_fallback 1",
                "oldest_fallback_timestamp_seconds 1600000000",
                "per_object_metrics 1",
                r#"object_on_primary{namespace="emojivoto",kind="TrafficSplit",name="left"} 0"#,
                r#"object_on_primary{namespace="emojivoto",kind="TrafficSplit",name="alone"} 1"#,
                r#"object_since_timestamp_seconds{namespace="emojivoto",kind="TrafficSplit",name="left"} 1600000000"#,
                r#"object_since_timestamp_seconds{namespace="emojivoto",kind="TrafficSplit",name="alone"} 1700000000"#,
                r#"object_fallbacks_ready{namespace="emojivoto",kind="TrafficSplit",name="left"} 0"#,
                r#"object_fallbacks_ready{namespace="emojivoto",kind="TrafficSplit",name="alone"} 0"#,
                r#"object_on{namespace="emojivoto",kind="TrafficSplit",name="garbled",on="unreadable"} 1"#,
                r#"object_active{namespace="emojivoto",kind="TrafficSplit",name="left",backend="a\"b"} 1"#,
                r#"object_active{namespace="emojivoto",kind="TrafficSplit",name="alone",backend="web"} 1"#,
                r#"object_active{namespace="emojivoto",kind="TrafficSplit",name="alone",backend="west"} 0"#,
            ]
        );
    }

    #[test]
    fn too_many_objects_and_those_that_are_not_wanted_are_only_summed() {
        let objects = |count: usize| {
            let name = |i: usize| sample(&i.to_string(), TrafficOn::Primary);
            (0..count).map(name).collect::<Vec<_>>()
        };
        let most = encoded(objects(MOST_OBJECTS), true);
        assert!(samples(&most).contains(&"per_object_metrics 1"));
        assert_eq!(most.matches("_object_on_primary{").count(), MOST_OBJECTS);
        for text in [encoded(objects(MOST_OBJECTS + 1), true), encoded(objects(1), false)] {
            assert!(samples(&text).contains(&"per_object_metrics 0"));
            assert!(text.contains(r#"objects{on="primary"}"#) && !text.contains("_object_on"));
        }
    }
}
