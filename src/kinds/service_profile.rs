//! `ServiceProfile` (`linkerd.io/v1alpha2`): what Linkerd reads in the place of a TrafficSplit. How
//! one is called, marked and filled.

use crate::kinds::Kind;
use kube::core::{ApiResource, GroupVersionKind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The linkerd-smi adaptor ignores a profile with this annotation, whatever its value.
pub const SKIP: &str = "smi.linkerd.io/skip";
/// Annotation: for which split the profile is written, and by whom. See [`Mark`].
pub(crate) use crate::engine::annotations::WRITTEN_FOR;
/// Label beside it, so that `kubectl -l` finds what is written here.
pub const LABEL: &str = "failover.linkerd.io/service-profile";
/// The value of [`LABEL`].
pub const LABELLED: &str = "written";

/// Version of the mark's JSON shape.
const VERSION: u32 = 1;

/// Where the API serves it.
pub fn api_resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("linkerd.io", "v1alpha2", "ServiceProfile"))
}

/// The name by which Linkerd knows a Service: that of its profile, and of the authority of a
/// backend.
pub fn host(service: &str, namespace: &str, cluster_domain: &str) -> String {
    format!("{service}.{namespace}.svc.{cluster_domain}")
}

/// The Service that a profile of this name is for.
pub fn service_of(profile: &str) -> &str {
    profile.split_once('.').map_or(profile, |(service, _)| service)
}

/// A share of the traffic, and where it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The [`host`] of the backend.
    pub authority: Box<str>,
    /// None where it is not a whole number, as it is written here.
    pub weight: Option<u32>,
}

/// `dstOverrides` as they are written: a weight is a quantity.
pub fn overrides_json(overrides: &[Override]) -> Value {
    let one = |o: &Override| json!({"authority": o.authority, "weight": o.weight.unwrap_or(0).to_string()});
    overrides.iter().map(one).collect()
}

/// The content of the annotation [`WRITTEN_FOR`].
///
/// It is written together with [`SKIP`], and never where that was there before: who takes the mark
/// away takes that away too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    v: u32,
    /// Name of the split, in the profile's namespace.
    pub split: String,
    /// The uid of the split.
    pub uid: String,
    /// The profile was made here, and holds nothing of others.
    pub created: bool,
    /// The installation that writes it, `namespace/name`: another one's profiles are not ours to
    /// give back.
    pub by: String,
}

impl Mark {
    /// A mark of the present version.
    pub fn new(split: &str, uid: &str, created: bool, by: &str) -> Self {
        let (split, uid, by) = (split.to_owned(), uid.to_owned(), by.to_owned());
        Self { v: VERSION, split, uid, created, by }
    }

    /// Reads the annotation; one of another version is not known, so not ours to write.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|mark: &Self| mark.v == VERSION)
    }

    /// The content of the annotation.
    pub fn to_annotation(&self) -> String {
        // A struct of strings and numbers has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The reference by which Kubernetes removes a profile together with its split, also while nobody
/// of ours runs.
pub fn owner_reference(api_version: &str, split: &str, uid: &str) -> Value {
    let kind = Kind::OF_SERVICE_PROFILES.as_str();
    json!({"apiVersion": api_version, "kind": kind, "name": split, "uid": uid})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_and_an_authority_are_called_as_linkerd_calls_a_service() {
        assert_eq!(host("emoji-svc", "ns", "cluster.local"), "emoji-svc.ns.svc.cluster.local");
        assert_eq!(service_of("emoji-svc.ns.svc.cluster.local"), "emoji-svc");
    }

    #[test]
    fn weights_are_quantities_without_a_port_beside_them() {
        let overrides = [Override { authority: "a.ns.svc.cluster.local".into(), weight: Some(1) }];
        let wanted = json!([{"authority": "a.ns.svc.cluster.local", "weight": "1"}]);
        assert_eq!(overrides_json(&overrides), wanted);
    }

    #[test]
    fn a_mark_is_read_back_and_one_of_another_version_is_not() {
        let mark = Mark::new("emoji", "u", true, "linkerd-failover/linkerd-failover");
        assert_eq!(Mark::parse(&mark.to_annotation()), Some(mark.clone()));
        let other = mark.to_annotation().replace("\"v\":1", "\"v\":2");
        for text in [other.as_str(), "", "true", "{}", "[1]"] {
            assert_eq!(Mark::parse(text), None, "{text}");
        }
    }
}
