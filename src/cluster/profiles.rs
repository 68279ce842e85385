//! What admission needs of a ServiceProfile, which is what Linkerd reads in a TrafficSplit's place.

use kube::ResourceExt;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};

/// By it a profile's owner keeps the linkerd-smi adaptor away.
const SKIP: &str = "smi.linkerd.io/skip";

/// Where the API serves it.
pub fn api_resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("linkerd.io", "v1alpha2", "ServiceProfile"))
}

/// A ServiceProfile, as small as a warning allows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProfileFacts {
    /// The linkerd-smi adaptor leaves it alone.
    pub skipped: bool,
    /// Where its overrides send the traffic: `emoji-svc.emojivoto.svc.cluster.local`.
    pub authorities: Box<[Box<str>]>,
    /// Any of them has a weight.
    has_weight: bool,
    pub has_routes: bool,
}

impl ProfileFacts {
    pub fn read(profile: &DynamicObject) -> Self {
        let overrides = profile.data.pointer("/spec/dstOverrides").and_then(|o| o.as_array());
        let authority = |o: &serde_json::Value| Some(o.get("authority")?.as_str()?.into());
        let weight = |o: &serde_json::Value| {
            let weight = o.get("weight");
            weight.is_some_and(|weight| !["0", "\"0\"", "null"].contains(&&*weight.to_string()))
        };
        let routes = profile.data.pointer("/spec/routes").and_then(|routes| routes.as_array());
        Self {
            skipped: profile.annotations().contains_key(SKIP),
            has_weight: overrides.into_iter().flatten().any(weight),
            authorities: overrides.into_iter().flatten().filter_map(authority).collect(),
            has_routes: routes.is_some_and(|routes| !routes.is_empty()),
        }
    }

    /// Whether it sends traffic anywhere.
    pub fn sends(&self) -> bool {
        !self.authorities.is_empty() && self.has_weight
    }

    /// Whether it sends traffic, and none of it to any of these Services of its namespace.
    pub fn is_foreign<'a>(
        &self,
        namespace: &str,
        mut backends: impl Iterator<Item = &'a str>,
    ) -> bool {
        let to = |name: &str| {
            let host = format!("{name}.{namespace}.svc.");
            self.authorities.iter().any(|authority| authority.starts_with(&host))
        };
        !self.authorities.is_empty() && !backends.any(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_profile_that_sends_traffic_past_all_backends_is_somebody_elses() {
        let profile = |authorities: &[&str]| {
            let overrides: Vec<_> =
                authorities.iter().map(|a| json!({"authority": a, "weight": "1"})).collect();
            ProfileFacts::read(
                &serde_json::from_value(json!({"metadata": {"name": "p"},
                "spec": {"dstOverrides": overrides}}))
                .unwrap(),
            )
        };
        let foreign = |p: &ProfileFacts| p.is_foreign("ns", ["a", "b"].into_iter());
        assert!(!foreign(&profile(&[])));
        assert!(!foreign(&profile(&["b.ns.svc.cluster.local", "c.ns.svc.cluster.local"])));
        assert!(foreign(&profile(&["ab.ns.svc.cluster.local:8080", "a.other.svc.cluster.local"])));
    }
}
