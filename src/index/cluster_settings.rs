//! The settings that apply to every object of the cluster, annotations of the own namespace.

use crate::engine::annotations;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;

/// The settings on the own namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClusterSettings {
    /// Nothing is to be written.
    pub frozen: bool,
    /// When a person last released the brake.
    pub brake_released: Option<Timestamp>,
}

impl ClusterSettings {
    /// Reads the annotations; an invalid value is logged and ignored.
    pub(crate) fn read(namespace: &Namespace) -> Self {
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
        let released = annotation(annotations::BRAKE_RELEASED).and_then(|text| {
            let time = text.parse().ok();
            if time.is_none() {
                tracing::error!(
                    "{} on namespace {} is {text:?}, expected an RFC 3339 time: the brake is not released",
                    annotations::BRAKE_RELEASED,
                    namespace.name_any()
                );
            }
            time
        });
        Self { frozen, brake_released: released }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(annotations: serde_json::Value) -> ClusterSettings {
        let namespace = json!({"metadata": {"name": "x", "annotations": annotations}});
        ClusterSettings::read(&serde_json::from_value(namespace).unwrap())
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
    fn the_release_of_the_brake_is_a_time() {
        let time = "2026-01-31T14:30:00Z";
        let read = |text: &str| read(json!({annotations::BRAKE_RELEASED: text})).brake_released;
        assert_eq!(read(time), Some(time.parse().unwrap()));
        assert_eq!(read("now"), None);
    }
}
