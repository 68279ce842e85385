//! What an author says of an object by annotations, read naively from `docs/annotations.md`.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::time::Duration;

/// The prefix of every annotation of the program.
pub const PREFIX: &str = "failover.linkerd.io/";

/// The policy of one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// The names of `primary-service`; none where the first backend is the primary.
    pub primaries: Vec<String>,
    /// `fallback-order`.
    pub order: Vec<String>,
    /// `min-ready` as it is written; a number in the case of most.
    pub min_ready: String,
    /// `failover-delay`; none where it cannot be read.
    pub failover_delay: Option<Duration>,
    /// `failback-delay`; none where it cannot be read.
    pub failback_delay: Option<Duration>,
    /// `failback: manual`.
    pub is_manual: bool,
    /// A person has asked for the return, at some time.
    pub is_failback_requested: bool,
    /// Fallbacks may keep the smallest share.
    pub is_warm: bool,
    /// The pinned backends, and until when.
    pub pin: Vec<String>,
    /// `pin-until`.
    pub pin_until: Option<Timestamp>,
    /// `paused`.
    pub is_paused: bool,
    /// `paused-until`.
    pub paused_until: Option<Timestamp>,
}

impl Policy {
    /// Reads the annotations of an object.
    pub fn read(object: &Value) -> Self {
        let annotation = |name: &str| {
            object["metadata"]["annotations"][format!("{PREFIX}{name}")]
                .as_str()
                .unwrap_or_default()
        };
        let time = |name: &str| annotation(name).parse::<Timestamp>().ok();
        Self {
            primaries: names(annotation("primary-service")),
            order: names(annotation("fallback-order")),
            min_ready: annotation("min-ready").to_owned(),
            failover_delay: delay(annotation("failover-delay")),
            failback_delay: delay(annotation("failback-delay")),
            is_failback_requested: !annotation("failback-requested").is_empty(),
            is_manual: annotation("failback") == "manual",
            is_warm: annotation("warm-standby") == "true" || annotation("protection") == "seamless",
            pin: names(annotation("pin")),
            pin_until: time("pin-until"),
            is_paused: annotation("paused") == "true",
            paused_until: time("paused-until"),
        }
    }

    /// How many ready endpoints a backend needs; none where it is not the observer's to say.
    pub fn minimum(&self, backend: &str, is_primary: bool) -> Option<usize> {
        let text = self.min_ready.trim();
        if text.is_empty() {
            return Some(1);
        }
        if !text.contains('=') {
            return if is_primary { text.parse().ok() } else { Some(1) };
        }
        let mut each = text.split(',').filter_map(|part| part.trim().split_once('='));
        match each.find(|(name, _)| name.trim() == backend) {
            Some((_, minimum)) => minimum.trim().parse().ok(),
            None => Some(1),
        }
    }

    /// Whether a person keeps the traffic where it is, or says where it goes: now, or within `margin` of now. The
    /// end of such a time is not the observer's to judge to the second.
    pub fn is_by_hand(&self, now: Timestamp, margin: SignedDuration) -> bool {
        let runs = |until: Option<Timestamp>| until.is_none_or(|until| until + margin > now);
        self.is_paused && runs(self.paused_until) || !self.pin.is_empty() && runs(self.pin_until)
    }

    /// Whether a pause holds for certain: for as long as `margin` from now on.
    pub fn is_paused_for(&self, now: Timestamp, margin: SignedDuration) -> bool {
        self.is_paused && self.paused_until.is_none_or(|until| until > now + margin)
    }

    /// Whether a pin holds for certain.
    pub fn is_pinned_for(&self, now: Timestamp, margin: SignedDuration) -> bool {
        !self.pin.is_empty() && self.pin_until.is_none_or(|until| until > now + margin)
    }
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn delay(text: &str) -> Option<Duration> {
    match text.trim() {
        "" | "0" => Some(Duration::ZERO),
        text => Duration::try_from(text.parse::<SignedDuration>().ok()?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn policy(annotations: &[(&str, &str)]) -> Policy {
        let mut object = json!({ "metadata": { "annotations": {} } });
        for (name, value) in annotations {
            object["metadata"]["annotations"][format!("{PREFIX}{name}")] = json!(value);
        }
        Policy::read(&object)
    }

    #[test]
    fn an_object_without_annotations_asks_for_nothing() {
        let nothing = policy(&[]);
        assert_eq!(
            (nothing.failover_delay, nothing.minimum("a", true)),
            (Some(Duration::ZERO), Some(1))
        );
        assert!(!nothing.is_by_hand(Timestamp::UNIX_EPOCH, SignedDuration::ZERO));
    }

    #[test]
    fn delays_and_minimums_are_read_as_they_are_written_and_what_is_not_understood_is_open() {
        let policy = policy(&[
            ("failover-delay", "1m30s"),
            ("failback-delay", "soon"),
            ("min-ready", "a=3"),
        ]);
        assert_eq!(policy.failover_delay, Some(Duration::from_secs(90)));
        assert_eq!(policy.failback_delay, None);
        assert_eq!((policy.minimum("a", false), policy.minimum("b", true)), (Some(3), Some(1)));
        let of_all = |text: &str, is_primary| {
            Policy { min_ready: text.into(), ..Policy::default() }.minimum("a", is_primary)
        };
        assert_eq!(
            (of_all("2", true), of_all("2", false), of_all("50%", true)),
            (Some(2), Some(1), None)
        );
    }

    #[test]
    fn names_stand_with_commas_between() {
        assert_eq!(policy(&[("pin", "a, b")]).pin, ["a", "b"]);
    }

    #[test]
    fn a_pin_that_has_just_ended_still_counts_for_a_while_and_one_that_ends_soon_is_not_certain() {
        let until = "2026-01-01T00:00:10Z";
        let policy = policy(&[("pin", "a"), ("pin-until", until)]);
        let (at, margin) = (
            |second: i64| until.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second),
            SignedDuration::from_secs(5),
        );
        assert!(policy.is_by_hand(at(4), margin) && !policy.is_by_hand(at(6), margin));
        assert!(policy.is_pinned_for(at(-6), margin) && !policy.is_pinned_for(at(-4), margin));
        assert!(!policy.is_paused_for(at(-6), margin));
    }
}
