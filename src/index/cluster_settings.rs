//! The settings that apply to every object of the cluster, annotations of the own namespace.

use crate::engine::annotations;
use crate::kinds::changed_by::ChangedBy;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;

/// The settings on the own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClusterSettings {
    /// Nothing is to be written.
    pub frozen: bool,
    /// When the freeze ends by itself.
    pub frozen_until: Option<Timestamp>,
    /// Who has frozen the cluster, where a command did.
    pub changed_by: Option<ChangedBy>,
    /// When a person last released the brake.
    pub brake_released: Option<Timestamp>,
}

impl ClusterSettings {
    /// Reads the annotations; an invalid value is logged and ignored.
    pub(crate) fn read(namespace: &Namespace, now: Timestamp) -> Self {
        let annotation = |name: &str| namespace.annotations().get(name).map(String::as_str);
        let frozen = match annotation(annotations::FROZEN) {
            Some("true") => true,
            None | Some("false") => false,
            Some(other) => {
                tracing::error!(
                    "{} on namespace {} is {other:?}, expected \"true\" or \"false\": nothing is frozen",
                    annotations::FROZEN,
                    namespace.name_any()
                );
                false
            }
        };
        let time = |name, without| time(namespace, name, without);
        let read = Self {
            frozen,
            frozen_until: time(annotations::FROZEN_UNTIL, "the freeze does not end by itself"),
            changed_by: ChangedBy::of(namespace.annotations()),
            brake_released: time(annotations::BRAKE_RELEASED, "the brake is not released"),
        };
        read.ended_at(now).unwrap_or(read)
    }

    /// The same without a freeze, where that has come to its end.
    pub(crate) fn ended_at(&self, now: Timestamp) -> Option<Self> {
        let has_ended = self.frozen && self.frozen_until.is_some_and(|until| until <= now);
        has_ended.then(|| Self { frozen: false, ..self.clone() })
    }
}

/// A time in an annotation; one that is none is logged, with what that means.
fn time(namespace: &Namespace, name: &str, without: &str) -> Option<Timestamp> {
    let text = namespace.annotations().get(name)?;
    let time = text.parse().ok();
    if time.is_none() {
        let namespace = namespace.name_any();
        tracing::error!(
            "{name} on namespace {namespace} is {text:?}, expected an RFC 3339 time: {without}"
        );
    }
    time
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(annotations: serde_json::Value) -> ClusterSettings {
        let namespace = json!({"metadata": {"name": "x", "annotations": annotations}});
        let now = "2026-11-26T03:00:00Z".parse().unwrap();
        ClusterSettings::read(&serde_json::from_value(namespace).unwrap(), now)
    }

    #[test]
    fn only_true_freezes() {
        assert!(read(json!({annotations::FROZEN: "true"})).frozen);
        for other in ["false", "yes", "", "True"] {
            assert!(!read(json!({annotations::FROZEN: other})).frozen, "{other:?}");
        }
        assert_eq!(read(json!({})), ClusterSettings::default());
    }

    #[test]
    fn a_freeze_ends_at_its_time_and_never_by_a_time_that_cannot_be_read() {
        for (until, frozen) in
            [("2026-11-26T03:00:01Z", true), ("2026-11-26T03:00:00Z", false), ("soon", true)]
        {
            let settings = json!({annotations::FROZEN: "true", annotations::FROZEN_UNTIL: until});
            assert_eq!(read(settings).frozen, frozen, "{until}");
        }
    }

    #[test]
    fn the_release_of_the_brake_is_a_time() {
        let time = "2026-01-31T14:30:00Z";
        let read = |text: &str| read(json!({annotations::BRAKE_RELEASED: text})).brake_released;
        assert_eq!(read(time), Some(time.parse().unwrap()));
        assert_eq!(read("now"), None);
    }
}
